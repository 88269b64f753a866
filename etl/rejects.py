"""Why a claim is not posted: the closed catalogue of reject codes, and the rows that use it.

A claim is quarantined as a value, with rule, reason and owner; it never stops the others and never disappears.
``docs/runbook.md`` is generated from :data:`CATALOGUE`, so a code without cause and fix cannot exist.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Owner = Literal["finance", "gl", "tax", "treasury", "mapping", "claimant", "it"]
OWNER_NAMES: dict[str, tuple[str, str]] = {
    "finance": ("财务", "Finance"),
    "gl": ("总账", "General ledger"),
    "tax": ("税务", "Tax"),
    "treasury": ("资金", "Treasury"),
    "mapping": ("映射维护人", "Mapping owner"),
    "claimant": ("报销人", "Claimant"),
    "it": ("数据工程", "Data engineering"),
}


@dataclass(frozen=True)
class RejectCode:
    """One way a claim can fail: what it means, who repairs it, how, and how soon.

    ``days`` is the time the owner has (due date = day of the first run that saw it + days).
    ``disposition`` is the usual one; a period or budget policy may turn held into rejected. The owner is stored by
    its Chinese name (golden case G11: owner 总账); reports translate it.
    """

    code: str
    disposition: Literal["rejected", "held"]
    owner: Owner
    days: int
    cause_en: str
    cause_zh: str
    fix_en: str
    fix_zh: str


def _codes(*rows: tuple[str, str, str, int, str, str, str, str]) -> dict[str, RejectCode]:
    return {row[0]: RejectCode(*row) for row in rows}  # type: ignore[arg-type]


CATALOGUE: dict[str, RejectCode] = _codes(
    ("PAYLOAD_INVALID", "rejected", "it", 2, "The claim's JSON does not have the documented shape.", "单据 JSON 结构与接口文档不符。",
     "Look at the quarantined claim; correct it in Hesi or report the change of the interface.", "查看隔离的单据；在合思修正，或报告接口变更。"),
    ("STATE_UNKNOWN", "rejected", "it", 2, "A state this program does not know.", "未知的单据状态。",
     "Add the state to the state table after asking Hesi what it means.", "向合思确认含义后加入状态表。"),
    ("CURSOR_MISSING", "rejected", "it", 2, "The claim has no updateTime.", "单据缺少 updateTime。", "Ask Hesi support to repair the claim.", "请合思支持修复该单据。"),
    ("MONEY_INVALID", "rejected", "finance", 2, "An amount is not an exact number of its currency.", "金额不是该币种的精确数值。",
     "Correct the amount in Hesi; nothing is rounded quietly.", "在合思更正金额；系统不会静默舍入。"),
    ("AMOUNT_IDENTITY", "rejected", "finance", 2, "Lines, payable, write-off and company-paid parts do not add up to the claim.", "明细、应付、核销、企业支付之和不等于单据金额。",
     "Correct the claim in Hesi.", "在合思更正单据。"),
    ("APPORTION_SUM", "rejected", "finance", 2, "Shares add up to neither the gross nor the net amount of the line.", "分摊合计既不等于含税金额也不等于不含税金额。",
     "Correct the shares in Hesi.", "在合思更正分摊。"),
    ("APPORTION_ZERO", "rejected", "finance", 2, "Shares add up to zero but the line carries tax.", "分摊合计为零但存在税额。", "Correct the shares in Hesi.", "在合思更正分摊。"),
    ("PAYPLAN_SUM", "rejected", "finance", 2, "Payment plan rows do not add up to the payable.", "支付计划合计不等于应付金额。", "Correct the payment plan in Hesi.", "在合思更正支付计划。"),
    ("APPROVAL_DATE_MISSING", "rejected", "finance", 2, "No approval time on an approved claim.", "已审批单据没有审批完成时间。", "Ask Hesi support; the accrual needs a date.", "请联系合思支持；计提需要日期。"),
    ("COMPANY_UNMAPPED", "rejected", "mapping", 2, "The legal entity has no company in the mappings.", "法人实体未映射到公司。", "Add it to mappings/companies.", "在 mappings/companies 中补充。"),
    ("FEE_TYPE_UNMAPPED", "rejected", "mapping", 2, "The fee type has no account for this department class on this date.", "费用类型在该日期、该部门类别下没有科目。",
     "Add the fee type to the company's mapping.", "在公司映射中补充费用类型。"),
    ("DEPARTMENT_UNMAPPED", "rejected", "mapping", 2, "The department is missing in Hesi's directory or has no class.", "部门不在合思组织中或未归类。",
     "Repair the department or add it to department_classes.", "修复部门或加入 department_classes。"),
    ("DIMENSION_MISSING", "rejected", "finance", 2, "A dimension the account requires is not on the claim.", "科目要求的辅助核算在单据上缺失。", "Complete the claim in Hesi.", "在合思补全单据。"),
    ("DIMENSION_UNMAPPED", "rejected", "mapping", 2, "A dimension value is not in the mapping or in Hesi's lists.", "辅助核算值未映射或不在合思档案中。", "Add the value to the mapping.", "在映射中补充该值。"),
    ("ACCOUNT_UNKNOWN", "rejected", "mapping", 2, "The account is not an open leaf account of the chart on this date.", "科目在该日期不是可用末级科目。", "Correct the mapping or open the account.", "更正映射或启用科目。"),
    ("BANK_UNMAPPED", "rejected", "treasury", 2, "The paying account has no bank account in the mapping.", "付款账户未映射到银行科目。", "Add it to bank_accounts.", "在 bank_accounts 中补充。"),
    ("PLATFORM_UNMAPPED", "rejected", "mapping", 2, "The company-paid part names no known platform or supplier.", "企业支付部分没有可识别的平台或供应商。", "Set company_paid in the mapping or the field in Hesi.", "在映射中设置 company_paid 或在合思填写字段。"),
    ("ATTACHMENT_LIMIT", "rejected", "finance", 2, "More attachments than the target can print.", "附件数超过目标系统上限。", "Split the claim, or raise the limit if the target allows it.", "拆分单据，或在目标允许时提高上限。"),
    ("FX_MISMATCH", "rejected", "finance", 2, "Base amount and foreign amount x rate differ by more than 0.01 on a line.", "本位币与外币×汇率之差超过 0.01。", "Correct the rate or amounts in Hesi.", "在合思更正汇率或金额。"),
    ("TARGET_UNFIT", "rejected", "mapping", 2, "A value the target cannot hold: too long, a forbidden character, too many decimals.", "目标系统无法保存的值：过长、非法字符或小数位过多。", "Shorten or correct the value in Hesi, or its mapping.", "在合思或映射中缩短或更正该值。"),
    ("SUITE_FAILED", "rejected", "finance", 2, "A validation rule failed; the reason names it.", "校验规则未通过，原因中列明。", "Do what the rule says; see the expectations folder.", "按规则说明处理；见 expectations 目录。"),
    ("FOREIGN_NUMBER", "held", "gl", 2, "Hesi already carries a voucher number that is not ours.", "合思上已有非本系统的凭证号。", "Find who booked it; clear the number in Hesi if it was a mistake.", "查明入账人；若为错误则在合思清除。"),
    ("PAYEE_TREATMENT", "held", "finance", 3, "The payee is a person who is no employee; no treatment is mapped.", "收款人为非员工个人，未配置处理方式。", "Map payables.other_individual or correct the payee.", "配置 payables.other_individual 或更正收款人。"),
    ("PAYEE_UNKNOWN", "held", "finance", 3, "The payee is not in Hesi's payee list.", "收款信息不在合思列表中。", "Restore the payee in Hesi.", "在合思恢复收款信息。"),
    ("LOAN_UNKNOWN", "held", "finance", 3, "The written-off loan package or its owner cannot be found.", "找不到被核销的借款包或其责任人。", "Check the loan package in Hesi.", "在合思核对借款包。"),
    ("LOAN_STATE", "held", "finance", 3, "The write-off records do not add up to the written-off amount.", "核销记录合计不等于核销金额。", "Correct the write-off in Hesi.", "在合思更正核销。"),
    ("BASE_CURRENCY", "held", "gl", 3, "Amounts are not in the base currency of the book.", "金额币种不是账簿本位币。", "Correct the legal entity's base currency or the mapping.", "更正法人实体本位币或映射。"),
    ("FX_PAYABLE", "held", "gl", 3, "A foreign-currency payable cannot be split over these payees.", "外币应付无法在这些收款人间拆分。", "Book by hand, or split the claim.", "手工入账或拆分单据。"),
    ("FX_SETTLEMENT", "held", "treasury", 3, "Payment of a foreign-currency payable, or from a foreign-currency account.", "外币应付的付款，或由外币账户支付。", "Book the exchange difference by hand.", "手工入账并处理汇兑差额。"),
    ("PERIOD_CLOSED", "held", "gl", 2, "The period is closed and the policy is hold or reject.", "期间已关闭，策略为挂起或拒绝。", "Open the period or change the policy.", "打开期间或更改策略。"),
    ("VAT_RATE_UNKNOWN", "held", "tax", 3, "Deductible tax without a rate on the invoice.", "存在可抵扣税额但发票没有税率。", "Complete the invoice items in Hesi.", "在合思补全发票明细。"),
    ("VAT_PRORATED", "held", "tax", 3, "Approved below the invoice's face and the policy is hold.", "核准金额低于票面，策略为挂起。", "Decide the deductible part.", "确定可抵扣部分。"),
    ("RECEIPT_UNSETTLED", "held", "finance", 3, "A receipt that does not say what it settles.", "收款单未说明结清对象。", "Link the receipt to its loan in Hesi.", "在合思关联借款。"),
    ("INTERCOMPANY", "held", "gl", 3, "Claim, shares and paying account belong to different companies.", "单据、分摊与付款账户属于不同公司。", "Book by hand until intercompany vouchers exist.", "内部往来凭证实现前手工入账。"),
    ("BUDGET_EXCEEDED", "held", "finance", 2, "Over budget and the policy is hold or reject.", "超预算，策略为挂起或拒绝。", "Raise the budget or release the claim.", "追加预算或放行单据。"),
    ("BUDGET_NOT_COMPUTED", "held", "finance", 1, "The budget is still being calculated and the policy does not let claims pass.", "预算仍在计算，策略不放行。", "Wait for the next run.", "等待下次运行。"),
)
