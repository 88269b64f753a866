"""Titles of the report's tables and how each was computed: (title zh, title en, how zh, how en)."""

from __future__ import annotations

TABLE_WORDS: dict[str, tuple[str, str, str, str]] = {
    "totals_by_currency": (
        "金额合计",
        "Totals by currency",
        "各币种下，下表各列相加。",
        "The table below, added up per currency.",
    ),
    "totals": (
        "金额核对",
        "Money tie-out",
        "来源合计由另一段程序从原始页面重新相加；已过账由 SQL 从 ERP 读回；差额 = 来源 - 已过账 - 暂存 - 退回 - 跳过 - 等待。",
        "Source is added up again from the raw pages by separate code, posted is read back from the ERP by SQL; "
        "difference = source - posted - held - rejected - skipped - waiting.",
    ),
    "account_totals": (
        "按科目核对",
        "Tie-out by account",
        "应有借贷来自生成的分录，实有借贷由 SQL 从 ERP 读回，按科目比较。",
        "Expected comes from the voucher lines made, posted is read back from the ERP by SQL, compared per account.",
    ),
    "departments": (
        "按部门",
        "By department",
        "本次过账的费用凭证：借方分录按部门辅助核算汇总；税额等没有部门的分录单列，合计等于借方合计。",
        "Expense vouchers of this run: debit lines by their department; lines without one (tax) stand apart, so that the column adds up to all debits.",
    ),
    "fee_types": (
        "按费用类型",
        "By expense type",
        "本次过账的费用凭证：借方分录的来源明细按费用类型和科目汇总。",
        "Expense vouchers of this run: source lines of the debits by expense type and account.",
    ),
    "vouchers": (
        "本次过账的凭证",
        "Vouchers posted by this run",
        "本次过账批次的凭证按公司、账簿、期间和凭证字计数，列出首号、末号和断号数。",
        "Vouchers of this run's posting batches by company, book, period and word, with first and last number and gaps.",
    ),
    "causes": (
        "未过账原因",
        "Not posted, by cause",
        "本次未过账的单据按规则、负责方和币种分组；到期日 = 首次出现日 + 该规则的处理天数。",
        "Entries not posted in this run by rule, owner and currency; due = day first seen + days the rule allows.",
    ),
    "rejects": (
        "未过账单据",
        "Not posted, claim by claim",
        "运行台账中本次退回和暂存的每一条，最久的在前；姓名已遮盖。",
        "Every rejected or held entry of this run in the run ledger, oldest first; names are masked.",
    ),
    "repeaters": (
        "反复出现",
        "Top repeaters",
        "最近 30 次同类运行中，有两张以上不同单据未过账的提单人（按部门区分）。",
        "Claimants (by department) with two or more different claims not posted in the last 30 runs of this kind.",
    ),
    "budget": (
        "预算",
        "Budget",
        "可用 = 预算 - 已用 - 在途；已计入节点的单据不再扣减；控制方式来自合思，处理方式由策略决定。",
        "Available = budget - used - in flight; a claim the node already counts is not subtracted again; "
        "the control is Hesi's, what happens is the policy's decision.",
    ),
    "shifted": (
        "顺延期间的凭证",
        "Vouchers moved to another date",
        "本次过账且凭证日期不同于业务发生日期的凭证，两个日期都列出。",
        "Vouchers of this run whose date differs from the day of the event; both dates are shown.",
    ),
    "rates": (
        "使用的汇率",
        "Exchange rates used",
        "本次外币分录按币种和汇率汇总；汇率取自单据，日期为业务发生日期的范围。",
        "Foreign-currency lines of this run by currency and rate; the rate is the claim's own, dates are the range of event days.",
    ),
    "residuals": (
        "尾差分录",
        "Rounding difference lines",
        "本次由尾差规则产生的分录。",
        "Lines of this run made by the residual rule.",
    ),
    "tax_rates": (
        "可抵扣进项税（按税率）",
        "Deductible input tax by rate",
        "本次带税率的分录：借方减贷方。",
        "Lines of this run that carry a tax rate: debits less credits.",
    ),
    "tax_invoices": (
        "发票税额（按票种）",
        "Invoice tax by kind",
        "本次过账凭证所附发票的金额与票面税额。",
        "Amount and face tax of the invoices booked by this run.",
    ),
    "tax_balance": (
        "进项税：可抵扣与不可抵扣",
        "Input tax: deductible or not",
        "票面税额和可抵扣税额由下面两张表按公司和币种相加；不可抵扣 = 票面税额 - 可抵扣税额。",
        "Face tax and deductible tax are the two tables below, added up per company and currency; not deductible = face tax - deductible tax.",
    ),
    "invoice_repeats": (
        "疑似重复发票",
        "Possible duplicate invoices",
        "本次使用的发票，在所有公司、所有年度的凭证中出现于一张以上单据。",
        "Invoices used by this run that stand on more than one claim in any company and year.",
    ),
    "remark_groups": (
        "提示汇总",
        "Remarks by rule",
        "本次检查提示按规则和币种分组；提示不影响过账。",
        "Remarks of this run by rule and currency; a remark changes no posting.",
    ),
    "remarks": (
        "提示明细",
        "Remarks, claim by claim",
        "运行台账中本次的每条提示。",
        "Every remark of this run in the run ledger.",
    ),
    "drift": (
        "过账后有变动的单据",
        "Changed after posting",
        "已过账而来源金额变动或单据消失；列出差异，不会再次过账。",
        "Posted claims whose source changed or vanished since; listed, never posted again.",
    ),
    "paid_not_posted": (
        "已付款未入账",
        "Paid but not posted",
        "合思显示已支付或已归档，但凭证暂存、退回或等待计提。",
        "Hesi says paid or archived, but the voucher is held, rejected or waits for its accrual.",
    ),
    "unpaid": (
        "已入账未付款",
        "Posted but not paid",
        "费用已过账而合思尚未支付的单据，按业务发生日至业务日期的天数分组。",
        "Posted accruals that Hesi has not paid yet, by days from the event to the business date.",
    ),
    "write_back": (
        "回写状态",
        "Write-back",
        "回写队列按状态计数（全部历史）。",
        "The write-back outbox by status (all runs).",
    ),
    "write_back_open": (
        "未完成的回写",
        "Write-back not done",
        "回写队列中尚未完成的每一条；单据支付前保持待回写，不是错误。",
        "Every outbox row not done; a claim stays pending until it is paid, which is no error.",
    ),
    "validation": (
        "校验规则",
        "Rules checked",
        "每条校验规则一行：检查行数与未通过行数，全部未通过的键在运行台账中。",
        "One row per rule: rows checked and failed; all failing keys are in the run ledger.",
    ),
    "steps": (
        "步骤用时",
        "Time per step",
        "每个步骤每次尝试的用时、CPU 时间和行数。",
        "Wall time, CPU time and rows of each attempt of each step.",
    ),
    "trend": (
        "最近的运行",
        "Recent runs",
        "最近 30 次同类运行的单据数。",
        "Claim counts of the last 30 runs of this kind.",
    ),
}
