"""Codes that are neither an error (:mod:`etl.errors`) nor a reject (:mod:`etl.rejects`): how else a run ends, and what it remarks.

Each has its entry in ``docs/runbook.md`` and its words in both languages here.
"""

from __future__ import annotations

from dataclasses import dataclass

from etl.errors import EtlError
from etl.rejects import Owner

PARTIAL, RUN_LOST, UNEXPECTED, INTERRUPTED = "PARTIAL", "RUN_LOST", "UNEXPECTED", "INTERRUPTED"


@dataclass(frozen=True)
class Advice:
    """What a code means, who looks at it and what to do."""

    owner: Owner
    en: str
    zh: str
    fix_en: str
    fix_zh: str


ENDINGS: dict[str, Advice] = {
    PARTIAL: Advice(
        "finance", "The run ended well; not everything it saw could be posted or written back (amber).", "运行正常结束，但部分单据未过账或未回写（黄色）。",
        "Go through the run report owner by owner; each open claim has its code in the second half of this page.",
        "按负责人逐项处理运行报告；每张未过账单据的代码见本页后半部分。",
    ),
    RUN_LOST: Advice(
        "it", "The run's process ended without a word: killed, out of memory, or the machine went down.", "运行进程无声终止：被强制结束、内存不足或机器断电。",
        "Nothing needs repair: a later run has ended well and did its work. Look into the machine's log when it happens again.",
        "无需修复：之后的运行已正常结束并完成其工作。若再次发生，检查机器日志。",
    ),
    UNEXPECTED: Advice(
        "it", "A defect of this program; the message begins with the kind of exception.", "本程序的缺陷；信息以异常类型开头。",
        "Report the message with the run's log. What was committed stays, nothing else was posted.",
        "将信息与运行日志一并上报。已提交的保留，其余未过账。",
    ),
    INTERRUPTED: Advice(
        "it", "Somebody stopped the run (Ctrl-C, or the service was shut down).", "有人中止了运行（Ctrl-C 或服务停止）。",
        "Run again to finish; what was committed stays.", "重新运行即可完成；已提交的保留。",
    ),
}  # fmt: skip

FINDINGS: dict[str, Advice] = {
    "BUDGET_EXCEEDED": Advice(
        "finance", "Over budget, warned only", "超预算，仅提醒", "Raise the budget, or accept the overrun.", "追加预算或接受超支。"
    ),
    "BUDGET_NOT_COMPUTED": Advice(
        "finance", "Budget not computed, warned only", "预算未算出，仅提醒",
        "Look at the budget once Hesi has added it up.", "合思计算完成后查看预算。",
    ),
    "VAT_UNVERIFIED": Advice("tax", "Invoice not verified", "发票未查验", "Have the invoice verified in Hesi.", "在合思查验发票。"),
    "VAT_NOT_ELIGIBLE": Advice(
        "tax", "Invoice kind carries no deductible tax", "票种不可抵扣",
        "Correct the deductible tax in Hesi; none was booked.", "在合思更正可抵扣税额；未入账抵扣。",
    ),
    "VAT_KIND_UNKNOWN": Advice(
        "tax", "Invoice could not be read", "票种无法识别", "Complete the invoice in Hesi, or check its deduction by hand.", "在合思补全发票，或人工核对抵扣。"
    ),
    "VAT_FLAG": Advice("tax", "Invoice kind to look at", "请留意的票种", "Look at the invoice as the VAT rule's flag says.", "按税则提示核对发票。"),
    "VAT_IN_COST": Advice(
        "tax", "Input VAT stays in cost", "进项税额计入成本",
        "Nothing, unless the project or department may deduct after all: then correct not_deducted of the company.",
        "一般无需处理；若该项目或部门可以抵扣，更正公司映射的 not_deducted。",
    ),
    "VAT_TRAVELLER": Advice(
        "tax", "Traveller is no employee", "乘客不是本单位员工",
        "Deduct only tickets of employees: have the claimant say who travelled.", "仅本单位员工的票可抵扣：请报销人说明乘客身份。",
    ),
    "INVOICE_TITLE": Advice(
        "claimant", "Invoice made out to somebody else", "发票抬头或税号不符",
        "Have the invoice issued again to the company, or add its title to invoice_titles.", "请开票方按公司抬头重开，或在 invoice_titles 中补充抬头。",
    ),
    "INVOICE_REUSED": Advice(
        "tax", "Invoice already used on another claim", "发票已用于其他单据",
        "Compare both claims; where the invoice was paid twice, have one corrected in Hesi.", "核对两张单据；若重复报销，在合思更正其一。",
    ),
    "VOUCHER_ALTERED": Advice(
        "gl", "Voucher changed after posting", "凭证过账后被改动",
        "Treat it as an incident: run `hesi-erp audit check --all`, find out who changed the row, and restore it from the backup.",
        "按事件处理：执行 `hesi-erp audit check --all`，查明改动者，并从备份恢复。",
    ),
}  # fmt: skip


def code_of(error: BaseException) -> str:
    """The runbook entry of whatever ended a run.

    >>> code_of(KeyError("a bug")), code_of(KeyboardInterrupt())
    ('UNEXPECTED', 'INTERRUPTED')
    """
    if isinstance(error, EtlError):
        return error.code
    return UNEXPECTED if isinstance(error, Exception) else INTERRUPTED


def told(error: BaseException) -> str:
    """What an error says; one of no family of ours says its class first."""
    return str(error) if isinstance(error, EtlError) else ": ".join(filter(None, (type(error).__name__, str(error))))
