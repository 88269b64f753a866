"""The first page of a pack, in Chinese or English: scope, controls with their results, every file; one file without links outside."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from etl.evidence.contents.controls import Control
from etl.evidence.contents.retention import CLASSES, class_of
from etl.evidence.tables import Written
from etl.evidence.words import FOLDERS, HEADINGS, LABELS, TEXTS, Language, said

_STYLE = (
    "body{font:15px/1.6 system-ui,'PingFang SC','Microsoft YaHei',sans-serif;max-width:76rem;margin:2rem auto;padding:0 1rem;color:#1c2430}"
    "table{border-collapse:collapse;width:100%;margin:.5rem 0 2rem}th,td{border:1px solid #ccd3dc;padding:.3rem .5rem;text-align:left;vertical-align:top}"
    "th{background:#eef2f6}td.n{text-align:right;font-variant-numeric:tabular-nums}code{font-size:.85em;overflow-wrap:anywhere}.a{background:#fff3d6}"
)


def index_page(manifest: dict[str, Any], controls: Sequence[Control], written: Iterable[Written], language: Language) -> bytes:
    """The page as UTF-8."""

    def label(key: str) -> str:
        return escape(said(LABELS[key], language))

    def heading(key: str) -> str:
        return f"<h2>{escape(said(HEADINGS[key], language))}</h2>"

    title = f"{said(HEADINGS['title'], language)} {manifest['company']} {manifest['period']}"
    facts = [
        ("company", manifest["company"]), ("period", manifest["period"]),
        ("vouchers", manifest["population"]["vouchers"]), ("lines", manifest["population"]["lines"]),
        ("log", f"{manifest['log']['first_seq']} – {manifest['log']['last_seq']}"), ("seed", manifest["seed"]),
        ("key", manifest["key"] or said(LABELS["unsigned"], language)),
    ]  # fmt: skip
    parts = [
        f"<!doctype html><html lang={'zh-CN' if language == 'zh' else 'en'}><meta charset=utf-8><title>{escape(title)}</title><style>{_STYLE}</style>",
        f"<h1>{escape(title)}</h1>", heading("scope"),
        _table((), [[f"<b>{label(key)}</b>", escape(str(value))] for key, value in facts]),
        heading("controls"), _table([label(key) for key in ("control", "result", "test", "file")], [_control(item, language) for item in controls]),
        heading("verify"), f"<p>{escape(said(TEXTS['verify'], language))}</p>", heading("privacy"), f"<p>{escape(said(TEXTS['privacy'], language))}</p>",
        heading("files"), _table([label(key) for key in ("file", "what", "rows", "bytes", "retention", "sha256")], [_file(item, language) for item in written]),
    ]  # fmt: skip
    return "\n".join(parts).encode()


def _control(control: Control, language: Language) -> list[str]:
    text = said((control.zh, control.en), language)
    note = f" <b class=a>{escape(said(LABELS['attention'], language))}</b>" if control.attention else ""
    return [f"{control.id} {escape(text)}", f"{escape(control.result)}{note}", f"<code>{escape(control.test)}</code>", f"<code>{escape(control.file)}</code>"]


def _file(item: Written, language: Language) -> list[str]:
    what = FOLDERS.get(item.path.partition("/")[0], ("", ""))
    rows = "" if item.rows is None else str(item.rows)
    years = str(CLASSES[class_of(item.path)].years)
    return [f"<code>{escape(item.path)}</code>", escape(said(what, language)), rows, str(item.bytes), years, f"<code>{item.sha256}</code>"]


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = f"<tr>{''.join(f'<th>{cell}</th>' for cell in header)}</tr>" if header else ""
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table>{head}{body}</table>"
