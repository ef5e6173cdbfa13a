#!/usr/bin/env python3
"""Asks a question of several voices, one paid call each, and counts their votes.

Input: {"question": "...", "voices": ["...", ...], "pause_ms": 0}, and
"transcript": true to keep what was asked and answered. The model is
made up here, so that the example runs anywhere; put your own call into ask().
"""

import sys
import time
import zlib

from gavel_exec import Cancelled, Denied, Job

MODEL, PRICE = "made-up", 1200  # micro-USD a call


def ask(voice, question, pause_ms):
    time.sleep(pause_ms / 1000)
    vote = "yes" if zlib.crc32(f"{voice}: {question}".encode()) % 2 else "no"
    return vote, len(question.split()), 1


def run(job):
    question, voices = job.input["question"], job.input["voices"]
    votes = job.state or {}
    for voice in voices:
        if voice in votes:
            continue  # paid for in an earlier attempt
        job.reserve(voice, MODEL, PRICE)
        vote, read, written = ask(voice, question, job.input.get("pause_ms", 0))
        job.usage(voice, MODEL, PRICE, read, written,
                  messages=[{"role": "system", "text": voice}, {"role": "user", "text": question}], reply=vote)
        votes[voice] = vote
        job.checkpoint(voice, votes)
        job.event("vote", voice=voice, vote=vote)
    yes = sum(v == "yes" for v in votes.values())
    job.result(question=question, votes=votes, decision="yes" if 2 * yes > len(votes) else "no")


def main():
    job = Job()
    print("attempt", job.attempt, "of job", job.id)  # goes to the log
    try:
        run(job)
    except Cancelled as stop:
        print("stopped:", stop)
        return 143  # every vote is in a checkpoint already
    except Denied as no:
        job.error("budget" if no.reason == "budget" else "retryable", str(no))
        return 1
    except (KeyError, TypeError) as e:
        job.error("permanent", f"bad input: {e!r}; want question and voices")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
