"""The report's words: one for one idea, Chinese first, English beside it.

Keys of :func:`word`: ``t.`` table titles, ``how.`` how a table was computed, ``c.`` columns, else fixed texts.
:func:`value_words` turns a stored code into words.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from etl.codes import FINDINGS
from etl.rejects import CATALOGUE, OWNER_NAMES
from etl.report.table_words import TABLE_WORDS

Language: TypeAlias = Literal["zh", "en"]
LANGUAGES: tuple[Language, Language] = ("zh", "en")
LANGUAGE_TAGS: dict[Language, str] = {"zh": "zh-CN", "en": "en"}
Pair: TypeAlias = tuple[str, str]

_PLAIN: dict[str, Pair] = {
    "title": ("运行报告", "Run report"),
    "product": ("合思 → ERP", "Hesi → ERP"),
    "skip": ("跳到正文", "Skip to content"),
    "language": ("语言", "Language"),
    "zone": ("时间均为会计时区 UTC+8；金额为本位币，另有注明除外", "Times in the accounting zone UTC+8; amounts in base currency unless said"),
    "contents": ("本页目录", "Contents"),
    "computed": ("如何计算：", "How computed: "),
    "rows": ("行", "rows"),
    "none": ("没有。", "None."),
    "limited": ("这里显示前 {shown} 行，共 {total} 行；全部在 XLSX 和 JSON 中。", "Showing the first {shown} of {total} rows; all are in the XLSX and JSON."),
    "all_forms": ("合计", "All"),
    "identity": (
        "读取 + 重放 = 重复 + 截止后 + 未到入账 + 新增 + 变更 + 未变 + 删除",
        "Extracted + replayed = duplicate + after cut-off + not due + new + changed + unchanged + deleted",
    ),
    "identity_ok": ("相等", "Adds up"),
    "identity_bad": ("相差 {gap}", "Off by {gap}"),
    "arrived": ("都到了吗", "All there?"),
    "ties": ("钱对得上吗", "Does the money tie out?"),
    "whose": ("轮到谁", "Whose turn?"),
    "arrived_note": ("本次读取；新增 {new}，变更 {changed}，删除 {deleted}", "read in this run; {new} new, {changed} changed, {deleted} deleted"),
    "posted_note": ("已过账 {posted}，未过账 {open}", "{posted} posted, {open} not posted"),
    "nobody": ("没有轮到谁的待办", "Nothing for anybody to do"),
    "s.counts": ("进与出", "Counts in and out"),
    "s.money": ("金额核对", "Money tie-out"),
    "s.open": ("未过账", "Not posted"),
    "s.budget": ("预算", "Budget"),
    "s.period": ("期间与汇率", "Period and currency"),
    "s.tax": ("税", "Tax"),
    "s.follow": ("后续：变动、付款、回写", "Follow-up: changes, payment, write-back"),
    "s.proof": ("可重现", "Reproducible"),
    "counts.how": (
        "运行台账 run_count 按单据类型汇总；读取的每张单据恰好归入一项。",
        "run_count of the run ledger by form type; every claim read falls into exactly one part.",
    ),
    "chart.money": ("金额去向（占来源合计的百分比）", "Where the money went (percent of source)"),
    "chart.causes": ("未过账原因（张数）", "Not posted by cause (entries)"),
    "chart.budget": ("预算使用率（%）", "Budget used (%)"),
    "chart.trend": ("最近的运行（张数）", "Recent runs (claims)"),
    "head.run_id": ("运行编号", "Run id"),
    "head.previous": ("上一次", "Previous run"),
    "head.interval": ("读取区间", "Interval"),
    "head.mapping": ("对应表 SHA-256", "Mappings SHA-256"),
    "head.expectations": ("校验规则 SHA-256", "Rules SHA-256"),
    "head.version": ("程序版本", "Program version"),
    "head.source": ("数据来源", "Source"),
    "head.memory": ("内存峰值", "Peak memory"),
    "head.by": ("发起", "Started by"),
    "head.business_date": ("业务日期", "Business date"),
    "head.started": ("开始", "Started"),
    "head.took": ("用时", "Took"),
    "downloads": (
        "同一份数据：run-report.xlsx（第二张表是全部查询）、run-report.json",
        "The same data: run-report.xlsx (second sheet: every query), run-report.json",
    ),
    "erp_unread": ("ERP 数据库没有应答，来自它的各表为空：", "The ERP database gave no answer; its tables are empty: "),
    "no_previous": ("没有", "none"),
}

_COLUMNS: dict[str, Pair] = {
    "entry_kind": ("凭证类型", "Kind"),
    "company_code": ("公司", "Company"),
    "currency": ("币种", "Currency"),
    "account_code": ("科目", "Account"),
    "source": ("来源合计", "Source"),
    "posted": ("已过账", "Posted"),
    "held": ("暂存", "Held"),
    "rejected": ("退回", "Rejected"),
    "skipped": ("跳过", "Skipped"),
    "waiting": ("等待计提", "Waiting"),
    "difference": ("差额", "Difference"),
    "drift": ("过账后变动", "Drift"),
    "expected_debit": ("应有借方", "Expected debit"),
    "expected_credit": ("应有贷方", "Expected credit"),
    "posted_debit": ("实有借方", "Posted debit"),
    "posted_credit": ("实有贷方", "Posted credit"),
    "rule": ("规则", "Rule"),
    "disposition": ("状态", "Status"),
    "owner": ("负责", "Owner"),
    "claims": ("张数", "Claims"),
    "amount": ("金额", "Amount"),
    "due_date": ("到期", "Due"),
    "days_open": ("已等天数", "Days open"),
    "fix": ("怎么办", "What to do"),
    "retry": ("可否重试", "Safe to retry"),
    "claim_code": ("单号", "Claim"),
    "claimant_name": ("提单人", "Claimant"),
    "department_code": ("部门", "Department"),
    "department_name": ("部门名称", "Department name"),
    "reason": ("原因", "Reason"),
    "step": ("步骤", "Step"),
    "rules": ("规则数", "Rules"),
    "runs": ("运行次数", "Runs"),
    "node_name": ("节点", "Node"),
    "period": ("期间", "Period"),
    "budget": ("预算", "Budget"),
    "used": ("已用", "Used"),
    "in_flight": ("在途", "In flight"),
    "this_run": ("本次", "This run"),
    "available": ("可用", "Available"),
    "over_percent": ("超出 %", "Over %"),
    "control": ("控制", "Control"),
    "verdict": ("结论", "Verdict"),
    "policy": ("策略", "Policy"),
    "node_id": ("节点编号", "Node id"),
    "remarks": ("条数", "Remarks"),
    "detail": ("说明", "Detail"),
    "suite": ("规则集", "Suite"),
    "column": ("字段", "Column"),
    "severity": ("级别", "Severity"),
    "evaluated": ("检查", "Checked"),
    "failed": ("未通过", "Failed"),
    "success": ("结果", "Result"),
    "attempt": ("次", "Attempt"),
    "seconds": ("用时（秒）", "Seconds"),
    "cpu_seconds": ("CPU（秒）", "CPU seconds"),
    "rows_in": ("进", "In"),
    "rows_out": ("出", "Out"),
    "run_id": ("运行编号", "Run id"),
    "started_at": ("开始", "Started"),
    "status": ("状态", "Status"),
    "vouchers": ("凭证", "Vouchers"),
    "lines": ("分录", "Lines"),
    "debit": ("借方", "Debit"),
    "credit": ("贷方", "Credit"),
    "fee_type_code": ("费用类型", "Expense type"),
    "sources": ("明细", "Source lines"),
    "book_code": ("账簿", "Book"),
    "first_no": ("首号", "First no."),
    "last_no": ("末号", "Last no."),
    "gaps": ("断号", "Gaps"),
    "voucher_word": ("字", "Word"),
    "voucher_no": ("号", "No."),
    "original_date": ("业务日期", "Event date"),
    "voucher_date": ("凭证日期", "Voucher date"),
    "fx_rate": ("汇率", "Rate"),
    "from_date": ("最早", "From"),
    "to_date": ("最晚", "To"),
    "amount_fc": ("原币金额", "Foreign amount"),
    "base_currency": ("本位币", "Base currency"),
    "base_amount": ("本位币金额", "Base amount"),
    "face_tax": ("票面税额", "Face tax"),
    "deductible": ("可抵扣", "Deductible"),
    "not_deductible": ("不可抵扣", "Not deductible"),
    "tax_code": ("税码", "Tax code"),
    "tax_rate": ("税率 %", "Rate %"),
    "tax": ("税额", "Tax"),
    "invoice_kind": ("票种", "Invoice kind"),
    "invoices": ("发票", "Invoices"),
    "invoice_id": ("发票标识", "Invoice"),
    "uses": ("单据数", "Claims"),
    "first_claim": ("单据一", "One claim"),
    "last_claim": ("单据二", "Another"),
    "posted_amount": ("已过账金额", "Posted"),
    "source_amount": ("来源现值", "Source now"),
    "cause": ("原因", "Cause"),
    "found_on": ("发现日", "Found"),
    "state": ("入账状态", "State"),
    "hesi_state": ("合思状态", "Hesi state"),
    "event_date": ("业务日期", "Event date"),
    "age": ("天数", "Age (days)"),
    "voucher_number": ("凭证号", "Voucher no."),
    "fiscal_period": ("记账期间", "Period"),
    "created_at": ("产生于", "Since"),
    "measure": ("环节", "Measure"),
}

MEASURES: dict[str, tuple[str, str, str, str]] = {
    "extracted": ("读取", "Extracted", "合思接口返回的单据", "claims Hesi returned"),
    "duplicate": ("重复", "Duplicate", "同一单据多次返回，保留最新", "returned more than once, newest kept"),
    "beyond_cutoff": ("截止后", "After cut-off", "晚于本次截止，留给下次", "newer than the cut-off, left to the next run"),
    "new": ("新增", "New", "首次见到", "seen for the first time"),
    "changed": ("变更", "Changed", "比上次见到的新", "newer than last seen"),
    "unchanged": ("未变", "Unchanged", "重叠窗口内已处理", "already done, inside the overlap"),
    "deleted": ("删除", "Deleted", "在合思中已删除", "deleted in Hesi"),
    "replayed": ("重放", "Replayed", "未读到新版本、按上次内容再次判断的未入账单据", "open claims decided again although Hesi sent nothing new"),
    "not_due": ("未到入账", "Not due yet", "审批中、草稿等", "in approval, drafts and the like"),
    "skipped": ("跳过", "Skipped", "切换日前的单据等", "before the cut-over and the like"),
    "quarantined": ("隔离", "Quarantined", "结构无法读取", "shape not readable"),
    "rejected": ("退回", "Rejected", "需在来源或映射更正", "to be corrected at the source or in the mapping"),
    "held": ("暂存", "Held", "等人决定", "waiting for a decision"),
    "waiting": ("等待计提", "Waiting", "付款等费用先入账", "payments whose accrual is not posted"),
    "posted": ("已过账", "Posted", "本次入账", "posted by this run"),
    "written_back": ("已回写", "Written back", "凭证号已写回合思", "voucher number stands in Hesi"),
    "write_back_pending": ("待回写", "Write-back pending", "支付后回写", "sent once paid"),
    "write_back_blocked": ("回写受阻", "Write-back blocked", "已归档或已有别的凭证号", "archived, or another number is there"),
    "paid": ("已支付", "Paid", "付款凭证", "payment vouchers"),
}
MEASURE_GROUPS: tuple[tuple[Pair, tuple[str, ...]], ...] = (
    (("进", "In"), ("extracted", "replayed", "duplicate", "beyond_cutoff", "not_due", "new", "changed", "unchanged", "deleted")),
    (("判断", "Decided"), ("skipped", "quarantined", "rejected", "held", "waiting")),
    (("出", "Out"), ("posted", "written_back", "write_back_pending", "write_back_blocked", "paid")),
)

_VALUES: dict[str, dict[str, Pair]] = {
    "kind": {
        "EXPENSE": ("费用", "Expense"),
        "PAYMENT": ("付款", "Payment"),
        "LOAN": ("借款", "Loan"),
        "RECEIPT": ("收款", "Receipt"),
    },
    "form": {
        "expense": ("报销", "Expense"),
        "loan": ("借款", "Loan"),
        "payment": ("付款", "Payment"),
        "receipt": ("收款", "Receipt"),
        "requisition": ("申请", "Requisition"),
    },
    "disposition": {"rejected": ("退回", "Rejected"), "held": ("暂存", "Held")},
    "state": {"rejected": ("退回", "Rejected"), "held": ("暂存", "Held"), "waiting": ("等待计提", "Waiting")},
    "owner": {names[0]: names for names in OWNER_NAMES.values()} | dict(OWNER_NAMES),
    "finding": {code: (advice.zh, advice.en) for code, advice in FINDINGS.items()},
    "control": {"ALLOW": ("允许", "Allow"), "FORBID": ("禁止", "Forbid"), "IGNORED": ("忽略", "Ignore")},
    "budget_verdict": {
        "within": ("预算内", "Within"),
        "over": ("超预算", "Over"),
        "unbudgeted": ("无预算", "Unbudgeted"),
        "not_computed": ("未算出", "Not computed"),
    },
    "department": {"": ("（无部门，如税额）", "(no department, e.g. tax)")},
    "policy": {"warn": ("提醒", "Warn"), "hold": ("暂存", "Hold"), "reject": ("退回", "Reject")},
    "severity": {"critical": ("拦截", "Critical"), "warning": ("提醒", "Warning"), "info": ("信息", "Info")},
    "passed": {"True": ("通过", "Passed"), "False": ("未通过", "Failed")},
    "drift_cause": {"changed": ("来源已变", "Changed"), "vanished": ("来源消失", "Vanished")},
    "outbox": {
        "PENDING": ("待回写", "Pending"),
        "RETRY": ("重试中", "Retrying"),
        "FAILED": ("失败", "Failed"),
        "BLOCKED": ("受阻", "Blocked"),
        "DONE": ("已回写", "Done"),
    },
    "verdict": {"green": ("全部过账", "Green"), "amber": ("部分未过账", "Amber"), "red": ("失败", "Red")},
    "run_kind": {
        "nightly": ("夜间", "Nightly"),
        "incremental": ("增量", "Incremental"),
        "full": ("全量", "Full"),
        "replay": ("重放", "Replay"),
        "reconcile": ("核对", "Reconcile"),
        "reference": ("基础资料", "Reference"),
    },
    "step": {
        "extract": ("读取", "extract"),
        "stage": ("整理", "stage"),
        "map_fields": ("映射", "map_fields"),
        "check_budget": ("预算检查", "check_budget"),
        "validate": ("校验", "validate"),
        "load": ("过账", "load"),
        "reconcile": ("核对", "reconcile"),
        "write_back": ("回写", "write_back"),
        "report": ("报告", "report"),
    },
}
_RETRY: Pair = ("可以，不会重复过账", "Yes, cannot post twice")


def word(key: str) -> Pair:
    """Both forms of a fixed text; KeyError for an unknown key, so that a missing word fails a test."""
    prefix, _, name = key.partition(".")
    if prefix == "t":
        return TABLE_WORDS[name][0], TABLE_WORDS[name][1]
    if prefix == "how":
        return TABLE_WORDS[name][2], TABLE_WORDS[name][3]
    return _COLUMNS[name] if prefix == "c" else _PLAIN[key]


def has_words(kind: str) -> bool:
    """Whether codes of this kind have words at all."""
    return kind in {"rule", "fix", "retry"} or kind in _VALUES


def value_words(kind: str, value: str) -> Pair | None:
    """Words of a stored code, or None where the code speaks for itself or is not known."""
    if kind in ("rule", "fix"):
        code = CATALOGUE.get(value)
        if code is None:
            return None
        return (code.cause_zh, code.cause_en) if kind == "rule" else (code.fix_zh, code.fix_en)
    if kind == "retry":
        return _RETRY
    return _VALUES.get(kind, {}).get(value)
