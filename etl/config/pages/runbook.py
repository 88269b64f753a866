"""The generated parts of ``docs/runbook.md``: every error that stops a run, every other end of one, every remark, every reason a
claim is not posted.

Causes of errors are the docstrings of :mod:`etl.errors`; what to do about them is said here. Reject codes come whole from
:data:`etl.rejects.CATALOGUE`.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass

from etl import codes, errors
from etl.config.pages.markdown import first_sentence
from etl.errors import ConfigError, EtlError, TerminalError, TransientError
from etl.rejects import CATALOGUE, OWNER_NAMES, Owner, RejectCode


@dataclass(frozen=True)
class Advice:
    """Who repairs an error, and how; the cause in Chinese stands here because docstrings are English."""

    owner: Owner
    cause_zh: str
    fix_en: str
    fix_zh: str


ADVICE: dict[type[EtlError], Advice] = {
    ConfigError: Advice(
        "mapping", "设置、映射或校验套件有误；信息中列出全部问题及文件和行号。",
        "Run `hesi-erp check-config`, correct every file and line it names, and run again.",
        "执行 `hesi-erp check-config`，按文件和行号逐一更正后重新运行。",
    ),
    TransientError: Advice(
        "it", "对方系统可能自行恢复。", "Wait; the scheduler tries again. Look at the other system when it keeps failing.",
        "等待，调度器会自动重试；持续失败时检查对方系统。",
    ),
    errors.RateLimited: Advice(
        "it", "合思要求的等待时间超过 `HESI_MAX_RETRY_AFTER_SECONDS`。",
        "Run again after the pause the message names, or lower `HESI_REQUESTS_PER_SECOND`.",
        "按信息中的等待时间之后重新运行，或调低 `HESI_REQUESTS_PER_SECOND`。",
    ),
    errors.SourceUnavailable: Advice(
        "it", "合思在重试限度内没有给出可用的应答。",
        "Check the network and Hesi's status, then run again: the run continues where the watermark stands.",
        "检查网络与合思服务状态后重新运行，从水位处继续。",
    ),
    errors.SinkUnavailable: Advice(
        "it", "ERP 数据库没有接受该批次，未提交任何内容。",
        "Check that the database is up, has space and accepts `ERP_URL`, then run again.",
        "检查数据库是否可用、空间是否充足、`ERP_URL` 是否有效，然后重新运行。",
    ),
    errors.CommitUnknown: Advice(
        "it", "提交的应答丢失：该批次可能已过账，也可能没有；再次发送前会先按批次号查询。",
        "Check that the database is up, then run again: the run looks the batch up by its id first and posts only what is not there. "
        "Until then `claim_standing` shows its claims as unknown or posting.",
        "确认数据库可用后重新运行：先按批次号查询，只过账尚未入账的部分；在此之前 `claim_standing` 中显示为 unknown 或 posting。",
    ),
    errors.TokenExpired: Advice(
        "it", "访问令牌刚更新又被合思拒绝。",
        "Run again. If it repeats, look for another program that uses the same key, or a wrong clock on this machine.",
        "重新运行；若反复出现，检查是否有其他程序使用同一密钥，或本机时间有误。",
    ),
    errors.BudgetCalculating: Advice(
        "finance", "合思正在重新计算预算包。", "Wait until Hesi has finished; the next run reads the budget again.",
        "等待合思计算完成，下次运行会重新读取预算。",
    ),
    errors.AnchorUnavailable: Advice(
        "it", "审计日志的链头未能保存到 `HESI_ERP_ANCHOR_DIR`。",
        "Mount the folder, give the program's user the right to create files in it, check its space, then run again.",
        "挂载该目录，确认程序用户可新建文件且空间充足，然后重新运行。",
    ),
    errors.StorageUnavailable: Advice(
        "it", "本程序的文件无法写入：磁盘已满或只读，或缺少写权限。",
        "Make room on the disk of the path in the message, or give the program's user the right to write there, then run again. What was "
        "committed stays; what was not is posted by the next run.",
        "清理信息中路径所在的磁盘，或授予程序用户写权限，然后重新运行。已提交的保留，未提交的由下次运行过账。",
    ),
    errors.TaskLost: Advice(
        "it", "运行中的某个任务被终止、超时或未启动。",
        "Clear the task named in the message in Airflow; the run continues from there and posts nothing twice. Once the next run of the DAG "
        "has begun there is nothing to continue: it does the same work.",
        "在 Airflow 中清除信息中所列的任务，运行从该处继续，不会重复过账。若该 DAG 的下一次运行已开始，则无需处理，它会完成同样的工作。",
    ),
    TerminalError: Advice(
        "it", "重试无效，需要人工处理。", "Read the message: it names what was expected, what was found and where.",
        "阅读信息：其中写明期望、实际与位置。",
    ),
    errors.AuthenticationFailed: Advice(
        "it", "合思拒绝应用密钥或密码。",
        "Correct `HESI_APP_KEY` and `HESI_APP_SECURITY`, or ask Hesi whether the key was revoked.",
        "更正 `HESI_APP_KEY` 与 `HESI_APP_SECURITY`，或向合思确认密钥是否已停用。",
    ),
    errors.HostRefused: Advice(
        "it", "地址不在 `HESI_ALLOWED_HOSTS` 内，以明文 http 访问其他机器，被重定向，或证书不受本机信任。",
        "Check the address. Add the host to `HESI_ALLOWED_HOSTS` only if it is really Hesi's, and use https. "
        "A private certificate authority is named by `SSL_CERT_FILE` or `SSL_CERT_DIR`.",
        "核对地址；仅当确属合思时加入 `HESI_ALLOWED_HOSTS`，并使用 https。自有证书颁发机构用 `SSL_CERT_FILE` 或 `SSL_CERT_DIR` 指定。",
    ),
    errors.NotAllowed: Advice(
        "it", "租户未开通该接口（功能未启用或缺少权限）。",
        "Have the feature or permission named in the message granted in Hesi.",
        "在合思开通信息中所列的功能或权限。",
    ),
    errors.PayloadChanged: Advice(
        "it", "应答不再是文档所述的结构。",
        "Keep the stored page, compare it with Hesi's documentation, and report the change; nothing was posted.",
        "保留原始页面，与合思文档比对并报告变更；未过账任何内容。",
    ),
    errors.SourceRefused: Advice(
        "it", "合思以业务原因拒绝了调用；信息中为其原文。", "Read Hesi's own words in the message; correct what they name, or ask Hesi support.",
        "阅读信息中合思的原文，按其更正，或联系合思支持。",
    ),
    errors.PagingStuck: Advice(
        "it", "列表反复返回同一页，继续会陷入死循环。", "Report the address in the message to Hesi; then run again.",
        "将信息中的地址报告合思，之后重新运行。",
    ),
    errors.TooManyRejects: Advice(
        "mapping", "拒收比例过高，继续过账会掩盖系统性错误。",
        "Group the rejects of the report by cause; most often one mapping entry is missing. Raise "
        "`HESI_ERP_REJECT_RATE_PERCENT` only when every cause is understood.",
        "按原因汇总报告中的拒收，多为缺少某条映射；确认全部原因后才可调高 `HESI_ERP_REJECT_RATE_PERCENT`。",
    ),
    errors.BatchRefused: Advice(
        "it", "批次违反账簿规则，全部回滚。", "Nothing was committed. Look up the named rule or constraint; run again when its cause is gone.",
        "未提交任何内容；查明所列规则或约束的原因，解决后重新运行。",
    ),
    errors.ControlTotalMismatch: Advice(
        "gl", "从目标读回的笔数或金额与发送的不符。",
        "Post nothing by hand. The transaction was rolled back or the run is red: compare the figures in the message, look for a "
        "trigger or another writer in the ERP database.",
        "不要手工补录。事务已回滚或运行为红色：比对信息中的数字，检查 ERP 数据库的触发器或其他写入者。",
    ),
    errors.ValidatorFailed: Advice(
        "it", "校验套件缺失、规则被改动或校验程序崩溃：宁可不过账。",
        "Restore the suite in `HESI_ERP_EXPECTATIONS`; `hesi-erp check-config` says which rule is missing. Nothing was posted.",
        "恢复 `HESI_ERP_EXPECTATIONS` 中的套件，`hesi-erp check-config` 会指出缺少的规则；未过账任何内容。",
    ),
    errors.RawPageAltered: Advice(
        "it", "已保存的原始页面与保存时的哈希不一致。",
        "Treat it as an incident: find out who changed the file, restore it from backup, and compare what was posted from it.",
        "按事件处理：查明改动者，从备份恢复，并核对据此过账的内容。",
    ),
    errors.RulesChanged: Advice(
        "mapping", "运行期间映射或校验套件被修改；同一运行绝不混用两个版本的规则。",
        "Finish the change, let `hesi-erp check-config` find nothing, and start a new run (in Airflow: a new DAG run, clearing the task would "
        "stop again). Change rules between runs.",
        "完成修改，执行 `hesi-erp check-config` 确认无误后启动新的运行（在 Airflow 中新建 DAG 运行，仅清除任务会再次停止）。请在两次运行之间修改规则。",
    ),
    errors.AuditLogAltered: Advice(
        "it", "审计日志的最后一条不再是本程序写入的内容。",
        "Treat it as an incident: run `hesi-erp audit check`, keep the folder as it is, compare it with its backup and the anchor folder.",
        "按事件处理：执行 `hesi-erp audit check`，保留目录现状，与备份及链头目录比对。",
    ),
    errors.PackTooLarge: Advice(
        "it", "证据包超过 4 GiB 或 65,535 个文件。",
        "Build packs of shorter periods or of single companies.",
        "按更短的期间或单个公司分别生成证据包。",
    ),
    errors.SchemaOutdated: Advice(
        "it", "数据库的结构版本比程序新或无法识别。",
        "Install the program version that wrote the schema, or restore the matching database.",
        "安装写入该结构的程序版本，或恢复匹配的数据库。",
    ),
    errors.AnotherRunActive: Advice(
        "it", "另一运行持有过账锁，或较晚开始读取的运行已经过账。",
        "Wait for the other run to end. If none is running, look for an open transaction in the ERP database. "
        "Where a newer run has posted, nothing is to be done.",
        "等待另一运行结束；若没有运行，检查 ERP 数据库是否有未结束的事务。若较新的运行已过账，则无需处理。",
    ),
}  # fmt: skip


def error_codes() -> Iterator[type[EtlError]]:
    """Every class of :mod:`etl.errors` a person can meet, families first."""
    for _, kind in inspect.getmembers(errors, inspect.isclass):
        if issubclass(kind, EtlError) and kind is not EtlError:
            yield kind


def errors_part() -> str:
    """One section per error code: cause, owner, fix, safe to retry, exit code."""
    order = {family: n for n, family in enumerate((ConfigError, TransientError, TerminalError))}
    kinds = sorted(error_codes(), key=lambda kind: (order[_family(kind)], kind is not _family(kind), kind.__name__))
    return "\n\n".join(_error(kind, ADVICE[kind]) for kind in kinds)


def rejects_part() -> str:
    """One section per reject code: cause, owner, fix, safe to retry, days to repair."""
    return "\n\n".join(_reject(code) for code in CATALOGUE.values())


def endings_part() -> str:
    """One section per other end of a run."""
    return "\n\n".join(_coded(code, advice, ("yes; nothing is posted twice.", "可以，不会重复过账。")) for code, advice in codes.ENDINGS.items())


def findings_part() -> str:
    """One section per remark; those that can also refuse a claim have theirs among the rejects."""
    retry = ("yes; a remark changes no posting.", "可以；提示不影响过账。")
    return "\n\n".join(_coded(code, advice, retry) for code, advice in codes.FINDINGS.items() if code not in CATALOGUE)


def _coded(code: str, advice: codes.Advice, retry: tuple[str, str]) -> str:
    owner_zh, owner_en = OWNER_NAMES[advice.owner]
    return _section(
        code,
        ("Cause", "原因", advice.en, advice.zh),
        ("Owner", "负责人", owner_en, owner_zh),
        ("Fix", "处理", advice.fix_en, advice.fix_zh),
        ("Safe to retry", "可否重试", *retry),
    )


def _family(kind: type[EtlError]) -> type[EtlError]:
    return next(family for family in (ConfigError, TransientError, TerminalError) if issubclass(kind, family))


_RETRY: dict[type[EtlError], tuple[str, str]] = {
    ConfigError: ("after the fix; nothing was read. Exit code 2", "更正后可以；尚未读取任何内容。退出码 2"),
    TransientError: (
        "yes, by itself and by hand; nothing is posted twice. Exit code 1",
        "可以，自动或手工均可，不会重复过账。退出码 1",
    ),
    TerminalError: (
        "after the fix; nothing is posted twice, but without it the run stops again. Exit code 1",
        "处理后可以，不会重复过账；未处理会再次停止。退出码 1",
    ),
}


def _error(kind: type[EtlError], advice: Advice) -> str:
    retry_en, retry_zh = _RETRY[_family(kind)]
    return _section(
        kind("").code,
        ("Cause", "原因", first_sentence(kind.__doc__), advice.cause_zh),
        ("Owner", "负责人", OWNER_NAMES[advice.owner][1], OWNER_NAMES[advice.owner][0]),
        ("Fix", "处理", advice.fix_en, advice.fix_zh),
        ("Safe to retry", "可否重试", f"{retry_en}.", f"{retry_zh}。"),
    )


def _reject(code: RejectCode) -> str:
    retry_en = "yes: every run looks at the claim again, and it posts once the cause is gone."
    retry_zh = "可以：每次运行都会重新检查，原因消除后即过账。"
    owner_zh, owner_en = OWNER_NAMES[code.owner]
    return _section(
        code.code,
        ("Means", "结果", code.disposition, {"rejected": "拒收", "held": "挂起"}[code.disposition]),
        ("Cause", "原因", code.cause_en, code.cause_zh),
        ("Owner", "负责人", f"{owner_en}, within {code.days} day(s)", f"{owner_zh}，{code.days} 天内"),
        ("Fix", "处理", code.fix_en, code.fix_zh),
        ("Safe to retry", "可否重试", retry_en, retry_zh),
    )


def _section(code: str, *facts: tuple[str, str, str, str]) -> str:
    lines = [f"- **{en} {zh}:** {text_en} {text_zh}" for en, zh, text_en, text_zh in facts]
    return "\n".join((f"### {code}", "", *lines))
