"""Chinese and English words of the index."""

from __future__ import annotations

from typing import Literal, TypeAlias

Language: TypeAlias = Literal["zh", "en"]
Pair: TypeAlias = tuple[str, str]

HEADINGS: dict[str, Pair] = {
    "title": ("会计证据包", "Accounting evidence pack"),
    "scope": ("范围", "Scope"),
    "controls": ("控制与结果", "Controls and results"),
    "files": ("文件", "Files"),
    "verify": ("如何核验", "How to verify"),
    "privacy": ("个人信息", "Personal data"),
}
LABELS: dict[str, Pair] = {
    "company": ("公司", "Company"),
    "period": ("会计期间", "Fiscal period"),
    "vouchers": ("凭证", "Vouchers"),
    "lines": ("分录", "Lines"),
    "seed": ("抽样种子", "Seed of the draw"),
    "key": ("签名公钥标识", "Name of the signing key"),
    "log": ("审计日志条目", "Entries of the audit log"),
    "unsigned": ("未签名", "unsigned"),
    "control": ("控制", "Control"),
    "result": ("本期结果", "Result in this period"),
    "test": ("证明该控制的测试", "Test that proves the control"),
    "file": ("文件", "File"),
    "rows": ("行数", "Rows"),
    "bytes": ("字节", "Bytes"),
    "sha256": ("SHA-256", "SHA-256"),
    "what": ("内容", "What it shows"),
    "retention": ("保管", "Retention"),
    "attention": ("需说明", "to be explained"),
}
TEXTS: dict[str, Pair] = {
    "verify": (
        "在另一台机器上执行 python3 -I verify.py 本文件 --key 公钥。公钥与 verify.py 的 SHA-256 须从可信来源取得，不得取自本包。",
        "On another machine: python3 -I verify.py THIS_FILE --key PUBLIC_KEY. Get the key and the SHA-256 of verify.py from somebody you trust, "
        "never from the pack.",
    ),
    "privacy": (
        "姓名、电话与卡号已遮蔽；凭证摘要属于会计记录，保留真实姓名。审批人以合思员工 ID 表示。",
        "Names, telephone and card numbers are masked. Summaries of vouchers are the accounting record and keep real names. Approvers appear by "
        "their Hesi staff id.",
    ),
}
FOLDERS: dict[str, Pair] = {
    "1-population": ("总体完整性：全部凭证与分录、连号、与来源核对", "Population: all vouchers and lines, numbers, tie to the source"),
    "2-extraction": ("取数证明：每个页面的地址、时间、哈希", "Extraction: address, time and hash of every page read"),
    "3-rules": ("生效规则：映射、预算、校验、设置及其差异", "Rules in force: mappings, budget, suites, settings, and what changed"),
    "4-validation": ("校验结果：全部失败主键、提示与预算", "Validation: every failing key, remarks and budgets"),
    "5-people": ("人员：启动、变更、审批", "People: who started, changed and approved"),
    "6-samples": ("样本追溯：随机与高风险", "Samples: random and unusual, traced to the raw claim"),
    "7-incidents": ("异常", "Incidents"),
    "8-controls": ("控制矩阵", "Control map"),
    "9-audit-log": ("审计日志、过账批次与锚点", "Audit log, posting batches and anchors"),
    "retention.csv": ("保管期限", "Retention classes"),
    "verify.py": ("核验程序（仅用标准库）", "Verifier (standard library only)"),
}


def said(pair: Pair, language: Language) -> str:
    """The word of a language."""
    return pair[language == "en"]
