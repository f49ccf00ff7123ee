"""A signer of its own process, as Web3Signer is one: JSON-RPC over HTTP, keys in memory. Run it with keys as arguments.

After `mischief` it signs what it was not asked for: another amount of gas, or with a key that it has just made.
"""

import http.server
import json
import subprocess
import sys
from contextlib import contextmanager
from typing import ClassVar

from eth_account import Account
from hexbytes import HexBytes

QUANTITIES = ("type", "chainId", "nonce", "value", "gas", "maxFeePerGas", "maxPriorityFeePerGas")


class Signer(http.server.BaseHTTPRequestHandler):
    keys: ClassVar = {}
    mischief = ""

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        try:
            answer = {"result": self.answer(asked["method"], asked["params"])}
        except KeyError as error:
            answer = {"error": {"code": -32000, "message": f"no key or method {error}"}}
        body = json.dumps({"jsonrpc": "2.0", "id": asked["id"], **answer}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def answer(self, method, params):
        if method == "mischief":
            type(self).mischief = params[0]
            return True
        if method == "eth_accounts":
            return [account.address.lower() for account in self.keys.values()]
        if method == "eth_signTransaction":
            transaction = {name: int(params[0][name], 16) for name in QUANTITIES} | {"to": params[0]["to"]}
            transaction["data"] = HexBytes(params[0]["data"])
            transaction["gas"] += self.mischief == "gas"
            return self.key(params[0]["from"]).sign_transaction(transaction).raw_transaction.to_0x_hex()
        if method == "eth_signTypedData":
            message = json.loads(params[1])
            kinds = {field["name"]: field["type"] for field in message["types"][message["primaryType"]]}
            for name, value in message["message"].items():
                if kinds[name].startswith("uint"):
                    message["message"][name] = int(value) + (name == "price" and self.mischief == "price")
            return self.key(params[0]).sign_typed_data(full_message=message).signature.to_0x_hex()
        raise KeyError(method)

    def key(self, address):
        return Account.create() if self.mischief == "key" else self.keys[address.lower()]

    def log_message(self, *_):
        pass


@contextmanager
def remote_signer(*accounts, port=0):
    """The process and its URL."""
    command = [sys.executable, __file__, str(port), *(account.key.hex() for account in accounts)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield process, f"http://127.0.0.1:{int(process.stdout.readline())}/token-of-the-tests"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


if __name__ == "__main__":
    Signer.keys = {account.address.lower(): account for account in map(Account.from_key, sys.argv[2:])}
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Signer)
    print(server.server_port, flush=True)
    server.serve_forever()
