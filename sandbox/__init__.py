"""A faithful fake of the Hesi OpenAPI for the demo, the tests and users' own trials. It is not Hesi; see README.md."""
