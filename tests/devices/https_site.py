"""A stand-in for micropython.org: a real HTTPS server with a throw-away certificate authority."""

import shutil
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from host.devices.images import Site

OPENSSL = shutil.which("openssl")


def certificates(folder: Path) -> tuple[Path, Path, Path]:
    """(CA, certificate and key of localhost), made by openssl."""
    ca, ca_key = folder / "ca.pem", folder / "ca.key"
    cert, key, request = folder / "cert.pem", folder / "cert.key", folder / "cert.csr"
    names = folder / "names"
    names.write_text("subjectAltName=DNS:localhost\n")
    new = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    authority = ["-x509", "-subj", "/CN=test CA", "-addext", "keyUsage=critical,keyCertSign"]
    for words in (
        [*new, *authority, "-keyout", ca_key, "-out", ca],
        [*new, "-subj", "/CN=localhost", "-keyout", key, "-out", request],
        ["x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca_key, "-CAcreateserial",
         "-extfile", names, "-out", cert],
    ):  # fmt: skip
        subprocess.run([OPENSSL, *words], check=True, capture_output=True, timeout=120)
    return ca, cert, key


class HttpsSite:
    """answers: {path: bytes, or (status, headers, body)}; asked: the paths that were asked for."""

    def __init__(self, folder: Path) -> None:
        ca, cert, key = certificates(folder)
        self.answers: dict = {}
        self.asked: list[str] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                site.asked.append(self.path)
                answer = site.answers.get(self.path, (404, {}, b"not here"))
                status, headers, body = answer if isinstance(answer, tuple) else (200, {}, answer)
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        self._server.handle_error = lambda *_: None
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.base = f"https://localhost:{self._server.server_port}"
        self.site = Site(self.base, ssl.create_default_context(cafile=str(ca)))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def clear(self) -> None:
        self.answers.clear()
        self.asked.clear()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
