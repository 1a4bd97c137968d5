"""An object store in memory that speaks as much of S3's protocol as pyarrow asks of one."""

import contextlib
import http.server
import re
import threading
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

MODIFIED = {"ETag": '"1"', "Last-Modified": "Sat, 28 Nov 2026 22:00:00 GMT"}


class _Store(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status=200, body=b"", length=None, headers=()):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def asked(self):
        """Bucket and key as one path, and what the URL asks."""
        url = urlsplit(self.path)
        return unquote(url.path).lstrip("/"), parse_qs(url.query, keep_blank_values=True)

    def body(self):
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            raw = b""
            while size := int(self.rfile.readline(), 16):
                raw += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if "aws-chunked" not in self.headers.get("Content-Encoding", ""):
            return raw
        data = b""
        while True:
            head, _, raw = raw.partition(b"\r\n")
            size = int(head.split(b";")[0], 16)
            if size == 0:
                return data
            data, raw = data + raw[:size], raw[size + 2 :]

    def do_PUT(self):
        (key, query), data = self.asked(), self.body()
        if "uploadId" in query:
            self.server.parts[query["uploadId"][0]][int(query["partNumber"][0])] = data
        else:
            self.server.objects[key] = data
        self.answer(headers=MODIFIED)

    def do_POST(self):
        (key, query), data = self.asked(), self.body()
        if "uploads" in query:
            number = str(len(self.server.parts))
            self.server.parts[number] = {}
            reply = f"<InitiateMultipartUploadResult><UploadId>{number}</UploadId></InitiateMultipartUploadResult>"
        elif "uploadId" in query:
            parts = self.server.parts[query["uploadId"][0]]
            self.server.objects[key] = b"".join(parts[number] for number in sorted(parts))
            reply = "<CompleteMultipartUploadResult><ETag>1</ETag></CompleteMultipartUploadResult>"
        else:
            for name in re.findall(r"<Key>(.*?)</Key>", data.decode()):
                self.server.objects.pop(f"{key.rstrip('/')}/{name}", None)
            reply = "<DeleteResult></DeleteResult>"
        self.answer(body=reply.encode())

    def do_DELETE(self):
        self.server.objects.pop(self.asked()[0], None)
        self.answer(204)

    def do_HEAD(self):
        key, _ = self.asked()
        if "/" not in key.rstrip("/"):
            self.answer()
        elif key in self.server.objects:
            self.answer(length=len(self.server.objects[key]), headers=MODIFIED)
        else:
            self.answer(404)

    def do_GET(self):
        key, query = self.asked()
        if "list-type" in query:
            self.answer(body=self.listing(key, query.get("prefix", [""])[0], query.get("delimiter", [""])[0]))
        elif key not in self.server.objects:
            self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
        elif "Range" in self.headers:
            data = self.server.objects[key]
            first, _, last = self.headers["Range"].removeprefix("bytes=").partition("-")
            part = data[int(first) : int(last) + 1]
            self.answer(206, part, headers={**MODIFIED, "Content-Range": f"bytes {first}-{last}/{len(data)}"})
        else:
            self.answer(body=self.server.objects[key], headers=MODIFIED)

    def listing(self, bucket, prefix, delimiter):
        found = {}
        for name, data in sorted(self.server.objects.items()):
            held, _, key = name.partition("/")
            if held == bucket.rstrip("/") and key.startswith(prefix):
                below, parted, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
                if parted:
                    folder = escape(prefix + below + delimiter)
                    found[folder] = f"<CommonPrefixes><Prefix>{folder}</Prefix></CommonPrefixes>"
                else:
                    found[key] = (
                        f"<Contents><Key>{escape(key)}</Key><Size>{len(data)}</Size>"
                        "<LastModified>2026-11-28T22:00:00.000Z</LastModified></Contents>"
                    )
        listed = "".join(found.values())
        count = f"<IsTruncated>false</IsTruncated><KeyCount>{len(found)}</KeyCount>"
        return f"<ListBucketResult>{count}{listed}</ListBucketResult>".encode()

    def log_message(self, *_):
        pass


class _Refusing(_Store):
    def refuse(self):
        self.body()
        self.answer(403, b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>")

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = refuse


@contextlib.contextmanager
def serve(allowed=True):
    """The objects of a store, and the words of a URL that lead to it; one to which nobody has access where not allowed."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Store if allowed else _Refusing)
    server.objects, server.parts = {}, {}
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.objects, f"region=us-east-1&scheme=http&endpoint_override=127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
