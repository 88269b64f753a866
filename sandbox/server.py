"""The sandbox on the wire: routes, token check, faults, request log, and the uvicorn server around them."""

import ipaddress
import socket
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox.answers import MISSING, TEXT_TYPE, Answer, Call, Refused, ok, refused
from sandbox.auth import UNAUTHORISED, Tokens
from sandbox.control import LOG_LIMIT, PREFIX, ControlCalls, Request
from sandbox.extra_api import ExtraCalls
from sandbox.faults import Faults, PageFaults, early_answer, with_unknown_keys
from sandbox.flows_api import FlowCalls
from sandbox.master_api import MasterCalls
from sandbox.tenant import Tenant
from sandbox.wire import CONNECTION, WireResponse, half_of

DEFAULT_APP_KEY = "sandbox-app-key"
DEFAULT_APP_SECURITY = "sandbox-app-security"
_API = "/api/openapi"
_FILE = b"%PDF-1.4 sandbox\n"
Handler = Callable[[Call], Answer]
Row = tuple[str, str, Handler]


class Server:
    """One sandbox: a tenant behind an ASGI application, with its faults, tokens and request log."""

    def __init__(
        self,
        tenant: Tenant,
        *,
        app_key: str = DEFAULT_APP_KEY,
        app_security: str = DEFAULT_APP_SECURITY,
        wall_ms: Callable[[], int] | None = None,
    ) -> None:
        self.tenant = tenant
        self.faults = Faults()
        self.requests: deque[Request] = deque(maxlen=LOG_LIMIT)
        wall = wall_ms or (lambda: time.time_ns() // 1_000_000)
        self.tokens = Tokens(app_key, app_security, clock=tenant.clock, wall_ms=wall)
        self._pages = PageFaults()
        self.app: ASGIApp = self._application()

    def _application(self) -> ASGIApp:
        starlette = Starlette(routes=self._routes(), exception_handlers={HTTPException: _missing})

        async def with_connection(scope: Scope, receive: Receive, send: Send) -> None:
            # uvicorn's send is a method of its request cycle: the only way to a connection that is to be cut.
            scope[CONNECTION] = getattr(getattr(send, "__self__", None), "transport", None)
            await starlette(scope, receive, send)

        return with_connection

    def _routes(self) -> list[Route]:
        control = ControlCalls(self.tenant, self.faults, self.tokens, self.requests)
        free: list[Row] = [
            ("POST", _API + "/v1/auth/getAccessToken", self.tokens.get_access_token),
            ("POST", _API + "/v2/auth/refreshToken", self.tokens.refresh_token),
            ("GET", _API + "/v2/location", lambda call: ok({"value": f"http://{call.host}/"})),
            ("GET", "/sandbox/files/{name:path}", lambda _call: Answer(_FILE, content_type="application/pdf")),
        ]
        controls: list[Row] = [
            ("GET", PREFIX + "/{name}", control.get),
            ("POST", PREFIX + "/{name}", control.post),
            ("DELETE", PREFIX + "/{name}", control.delete),
        ]
        api = _flow_rows(FlowCalls(self.tenant)) + _extra_rows(ExtraCalls(self.tenant))
        api += _master_rows(MasterCalls(self.tenant))
        return [
            *(Route(_API + path, self._guarded(handler), methods=[method]) for method, path, handler in api),
            *(Route(path, self._open(handler), methods=[method]) for method, path, handler in free),
            *(Route(path, self._local(handler), methods=[method]) for method, path, handler in controls),
        ]

    def _guarded(self, handler: Handler) -> Callable[[HttpRequest], object]:
        """An API call that needs a token."""

        def checked(call: Call) -> Answer:
            if not self.tokens.valid(call.query.get("accessToken", "")):
                raise Refused(403, UNAUTHORISED)
            return handler(call)

        return self._open(checked)

    def _open(self, handler: Handler) -> Callable[[HttpRequest], object]:
        """An API call: logged, and subject to faults."""

        async def endpoint(request: HttpRequest) -> Response:
            call = await _call_of(request)
            firing = self.faults.firing(call)
            if "revoke" in firing:
                self.tokens.revoke()
            answer = early_answer(firing)
            if answer is None and "reset" in firing:
                answer = Answer(b"", 0)
            if answer is None:
                if "drift" in firing:
                    self.tenant.drift(int(firing["drift"].options.get("edits", 5)), call.query.get("type", ""))
                answer = self._pages.alter(call, self._answer(handler, call), firing)
                answer = with_unknown_keys(answer) if "unknown_keys" in firing else answer
                answer = half_of(answer) if "cut_json" in firing else answer
            status = 0 if "reset" in firing or "lost_answer" in firing else answer.status
            self.requests.append(Request(call.method, call.path, dict(call.query), self.tenant.clock.now(), status))
            return WireResponse(answer, firing)

        return endpoint

    def _local(self, handler: Handler) -> Callable[[HttpRequest], object]:
        """A control call: only from this machine."""

        async def endpoint(request: HttpRequest) -> Response:
            peer = request.client.host if request.client else ""
            if not _is_loopback(peer):
                raise HTTPException(404)
            return WireResponse(self._answer(handler, await _call_of(request)), {})

        return endpoint

    def _answer(self, handler: Handler, call: Call) -> Answer:
        try:
            with self.tenant.lock:
                return handler(call)
        except Refused as error:
            return refused(error)


def _flow_rows(calls: FlowCalls) -> list[Row]:
    """Busiest first: routes are tried in order."""
    return [
        ("GET", "/v1.1/docs/getApplyList", calls.apply_list),
        ("PUT", "/v2.1/flow/data/erpVoucher", calls.erp_voucher),
        ("GET", "/v1.1/flowDetails", calls.details),
        ("GET", "/v1.1/flowDetails/byCode", calls.details),
        ("GET", "/v1.1/flowDetails/outerCode", calls.details),
        ("GET", "/v2/approveStates/[{ids}]", calls.approve_states),
        ("POST", "/v1/flowDetails/attachment", calls.attachments),
    ]


def _extra_rows(calls: ExtraCalls) -> list[Row]:
    """A literal `$` stands before some ids."""
    return [
        ("POST", "/v2/extension/INVOICE/object/{type}/search", calls.invoice_headers),
        ("POST", "/v2/extension/INVOICE/object/invoice/detailBatch", calls.invoice_items_batch),
        ("POST", "/v2/extension/INVOICE/object/invoice/{id}/detail", calls.invoice_items),
        ("POST", "/v2/extension/flow/INVOICE/search", calls.invoices_of_flows),
        ("GET", "/v1/loan/loanInfo/${id}", calls.loan_by_package),
        ("GET", "/v1/loans/getLoanInfoByFlowId/${id}", calls.loan_by_flow),
        ("GET", "/v2/budgets", calls.budget_list),
        ("GET", "/v2/budgets/${id}/query", calls.budget_query),
        ("GET", "/v2/budgets/${id}/async", calls.budget_state),
        ("GET", "/v2/budgets/${id}", calls.budget_tree),
    ]


def _master_rows(calls: MasterCalls) -> list[Row]:
    return [
        ("GET", "/v1/departments", calls.departments),
        ("GET", "/v1.1/staffs", calls.staffs),
        ("GET", "/v1/feeTypes", calls.fee_types),
        ("GET", "/v1/dimensions", calls.dimensions),
        ("GET", "/v1/dimensions/items", calls.items),
        ("GET", "/v1/dimensions/items/withAll", calls.items_with_all),
        ("GET", "/v2.1/payeeInfos", calls.payees),
        ("GET", "/v1/paymentAccounts", calls.accounts),
        ("GET", "/v2.1/currency", calls.currencies),
        ("GET", "/v1/charge/powers/list", calls.powers),
    ]


class _Announcing(uvicorn.Server):
    """A uvicorn server that says when it answers."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio sends small answers at once; else each waits 40 ms for an acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(128)
    return listener


def uvicorn_server(server: Server, on_ready: Callable[[], None]) -> uvicorn.Server:
    """The HTTP server around a sandbox, quiet except for errors of its own."""
    config = uvicorn.Config(
        server.app, log_config=None, log_level="error", access_log=False, lifespan="off", loop="asyncio", ws="none",
        timeout_graceful_shutdown=1,
    )  # fmt: skip
    return _Announcing(config, on_ready)


def serve(
    tenant: Tenant,
    *,
    port: int = 0,
    host: str = "127.0.0.1",
    state_dir: Path | None = None,
    app_key: str = DEFAULT_APP_KEY,
    app_security: str = DEFAULT_APP_SECURITY,
    on_ready: Callable[[str, int], None] = lambda _url, _port: None,
) -> None:
    """Serve a tenant until SIGINT or SIGTERM; `on_ready` gets the address and port once calls are answered."""
    if state_dir is not None:
        tenant.keep_state(state_dir)
    server = Server(tenant, app_key=app_key, app_security=app_security)
    with listen(host, port) as listener:
        bound = int(listener.getsockname()[1])
        url = f"http://{f'[{host}]' if ':' in host else host}:{bound}"
        uvicorn_server(server, lambda: on_ready(url, bound)).run(sockets=[listener])
    tenant.close()


async def _call_of(request: HttpRequest) -> Call:
    return Call(
        method=request.method,
        path=request.url.path,
        params=request.path_params,
        query=dict(request.query_params),
        body=await request.body(),
        host=request.headers.get("host", ""),
    )


async def _missing(_request: HttpRequest, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return Response(MISSING if status == 404 else f"Error {status}", status, media_type=TEXT_TYPE)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
