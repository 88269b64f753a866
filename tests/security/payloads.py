"""What somebody outside could type or send to break in; every list has the size its test asks for."""

from __future__ import annotations

from itertools import product

_SQL = (
    "'; DROP TABLE voucher; --",
    "'); DELETE FROM voucher_line WHERE ('1'='1",
    "' OR '1'='1",
    "' UNION SELECT * FROM claim_state --",
    "1; UPDATE voucher SET status = 'REVERSED' --",
    "\\'; SELECT pg_sleep(60); --",
    "'||(SELECT version())||'",
    "'; ATTACH DATABASE '/tmp/x' AS x; --",
    "$$; COPY voucher TO PROGRAM 'id'; $$",
    "'; EXEC xp_cmdshell 'dir'; --",
    "%s %(code)s %%",
    ":name ? $1 @p1 {0} {code}",
    '"; DROP TABLE "voucher"; --',
    "`; DROP TABLE `voucher`; --",
    "'; PRAGMA writable_schema = 1; --",
    "/*' or 1=1 or '*/ 1",
    "' AND (SELECT COUNT(*) FROM posting_lock) > 0 --",
    "x' AND 1=CAST((SELECT table_name FROM information_schema.tables LIMIT 1) AS int) --",
    "'; TRUNCATE posting_batch CASCADE; --",
    "\\N",
)
_WRAPS = ("{}", "差旅{}", "{}报销", "({})", "{}\u2019", "\u02bc{}", "％27{}", "{}\\", "'{}'", "{};COMMIT")
SQL = tuple(wrap.replace("{}", text) for text, wrap in product(_SQL, _WRAPS))

_OUTSIDE = (
    "..",
    "../..",
    "../../etc/passwd",
    "/etc/passwd",
    "/",
    "",
    ".",
    "./x",
    "a/b",
    "a\\b",
    "..\\..\\x",
    "C:\\x",
    "C:x",
    "\\\\host\\share",
    "~",
    "~root/x",
)
_ODD = (
    ".hidden", "..hidden", " x", "x y", "x\0y", "x\ny", "x\ry", "x\ty", "x;id", "x|id", "$(id)", "`id`", "x*", "x?", "<x>", 'x"', "x'", "x:y", "%2e%2e%2f",
    "%00", "-rf", "..%2f", "．．／x", "‥", "x\u202etxt", "x\u200b", "张三", "𠮷", "é", "x" * 121, "x" * 300, "长" * 300,
)  # fmt: skip
_DEVICES = ("con", "CON", "prn", "aux", "nul", "NUL.json", "com1", "COM9.txt", "lpt1", "LPT9.json", "nul.tar.gz", "Aux.json")
NAMES = (*_OUTSIDE, *_ODD, *_DEVICES)

ADDRESSES = (
    "http://169.254.169.254/latest/meta-data/",
    "https://169.254.169.254/",
    "http://[fd00:ec2::254]/",
    "http://metadata.google.internal/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_FLUSHALL",
    "ftp://app.ekuaibao.com/",
    "dict://127.0.0.1:11211/",
    "data:text/plain,x",
    "javascript:alert(1)",
    "http://app.ekuaibao.com",
    "http://127.0.0.1:5432/",
    "http://localhost/",
    "https://127.0.0.1/",
    "https://[::1]/",
    "https://0.0.0.0/",
    "https://2130706433/",
    "https://0x7f.1/",
    "https://127.1/",
    "https://10.0.0.1/",
    "https://192.168.0.1/",
    "https://evil.example",
    "https://app.ekuaibao.com.evil.example",
    "https://evil.example/app.ekuaibao.com",
    "https://app.ekuaibao.com@evil.example/",
    "https://user:word@app.ekuaibao.com/",
    "https://app.ekuaibao.com/?next=https://evil.example",
    "https://app.ekuaibao.com/#@evil.example",
    "https://evil.example\\@app.ekuaibao.com",
    "//evil.example/x",
    "https://аpp.ekuaibao.com",
    "https://app。ekuaibao。com.evil.example",
)
