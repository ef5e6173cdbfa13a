"""A program's side of gavel-exec/1, with nothing but the standard library."""

import json
import os
import queue
import threading


class Cancelled(Exception):
    """The job must end: save what there is if mode says so, pay for nothing."""

    def __init__(self, cause, mode):
        super().__init__(cause)
        self.cause, self.mode = cause, mode


class Denied(Exception):
    """A paid call was not allowed; reason is budget, cancelled, unavailable or refused."""

    def __init__(self, reason, detail):
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


class Job:
    """One attempt at one job. Use it from one thread."""

    def __init__(self):
        # Stray prints go to stderr, which is the log, and not into the protocol.
        self._out = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
        os.dup2(2, 1)
        self._answers = queue.Queue()
        self._cancel = None
        threading.Thread(target=self._listen, daemon=True).start()
        self._say("hello", protocol="gavel-exec/1", features=["checkpoint"])
        start = self._wait("start")
        self.id, self.attempt, self.budget, self.dir = start["job"], start["attempt"], start["budget"], start["dir"]
        self.transcript = start.get("transcript", False)
        self.input = start.get("input")
        if "input_file" in start:
            with open(os.path.join(self.dir, start["input_file"]), encoding="utf-8") as f:
                self.input = json.load(f)
        self._seq, self.state = 0, None
        if "checkpoint" in start:
            last = start["checkpoint"]
            self._seq, self.state = last["seq"], last.get("data")
            if "file" in last:
                with open(os.path.join(self.dir, last["file"]), encoding="utf-8") as f:
                    self.state = json.load(f)

    def event(self, type, audience="owner", **data):
        self._seen()
        self._say("event", type=type, audience=audience, data=data)

    def progress(self):
        self._seen()
        self._say("progress")

    def reserve(self, call_id, model, max_micro_usd):
        """Asks for one paid call. When this returns, make the call at once."""
        self._seen()
        self._say("reserve", call_id=call_id, model=model, max_micro_usd=max_micro_usd)
        answer = self._wait("grant", "deny")
        if answer["msg"] == "deny":
            self._seen()
            raise Denied(answer["reason"], answer.get("detail", ""))

    def usage(self, call_id, model, cost_micro_usd, input_tokens=0, output_tokens=0, estimated=False, **told):
        """told, kept if the job asks for a transcript: messages=[{"role": …, "text": …}], reply=, refusal=, finish=, error=."""
        self._say("usage", call_id=call_id, model=model, cost_micro_usd=cost_micro_usd,
                  input_tokens=input_tokens, output_tokens=output_tokens, estimated=estimated,
                  **(told if self.transcript else {}))

    def checkpoint(self, node, state):
        """Returns when the state is safe: the next attempt finds it in job.state."""
        self._seq += 1
        self._say("checkpoint", seq=self._seq, node=node, data=state)
        self._wait("checkpoint_ack")

    def result(self, **data):
        self._say("result", data=data)

    def error(self, kind, message):
        """kind is retryable, permanent, budget or cancelled."""
        self._say("error", **{"class": kind, "message": message})

    def _say(self, msg, **fields):
        self._out.write(json.dumps({"msg": msg, **fields}, ensure_ascii=False) + "\n")
        self._out.flush()

    def _seen(self):
        if self._cancel:
            raise Cancelled(self._cancel["cause"], self._cancel["mode"])

    def _wait(self, *names):
        while True:
            line = self._answers.get()
            if line["msg"] in names:
                return line
            if line["msg"] == "cancel":
                raise Cancelled(line["cause"], line["mode"])

    def _listen(self):
        # Not sys.stdin: Python aborts at its exit when a thread still reads that.
        rest = b""
        while chunk := os.read(0, 1 << 16):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in map(json.loads, filter(None, lines)):
                if line["msg"] == "cancel":
                    self._cancel = line
                self._answers.put(line)
        os._exit(1)  # the worker is dead: nobody is left to work for
