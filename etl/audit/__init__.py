"""An append-only log of every decision: chained, signed, and comparable with two other places that hold its heads."""
