"""A judge behind an OpenAI-compatible server: several calls at once, each retried, all within a budget. Free of torch.

`json` asks for a JSON object by schema, `choice` for one of the verdicts (vLLM), `logprobs` for one token with its
alternatives, `text` for reasons and a marked verdict; `offered.py` finds out which of them a server has. Temperature 0.
Leaves out retries (transport.py) and money (budget.py).
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, Literal

import httpx

from trainer.evaluation.judges.base import Ask, OnReply, Reading, Reply, invalid
from trainer.evaluation.judges.budget import BudgetSpent, Estimate, Ledger, estimate, most_tokens
from trainer.evaluation.judges.parsing import parse_choice, parse_json, parse_logprobs, parse_marked
from trainer.evaluation.judges.rubric import Form, Rubric, judge_messages
from trainer.evaluation.judges.transport import Answer, JudgeRefused, Patience, call

Way = Literal["json", "choice", "logprobs", "text"]
FORMS: dict[Way, Form] = {"json": "json", "choice": "word", "logprobs": "word", "text": "reasons"}
MAX_TOKENS: dict[Way, int] = {"json": 1_024, "choice": 8, "logprobs": 1, "text": 1_024}
ALTERNATIVES = 20  # tokens whose log-probability is asked for; the most that servers give
REFUSED_AT_FIRST = 3  # calls refused as wrong before one succeeds: the settings are wrong, not the texts


class EndpointJudge:
    """A model on a server, asked by a rubric. `url` ends before /chat/completions; `concurrency` calls at once."""

    kind = "endpoint"
    sees_order = True
    chunk = 10_000  # replies are delivered as they come

    def __init__(
        self,
        url: str,
        model: str,
        rubric: Rubric,
        ledger: Ledger,
        *,
        way: Way = "text",
        key: str = "",
        concurrency: int = 8,
        patience: Patience | None = None,
    ) -> None:
        if concurrency < 1:
            raise ValueError(f"concurrency is {concurrency}; give at least 1")
        self.url, self.model, self.rubric, self.way = url.rstrip("/"), model, rubric, way
        self.ledger, self.concurrency = ledger, concurrency
        self.name = f"endpoint:{self.url}#{model}:{way}:{rubric.name}"
        self.revision = model
        self.reminders = 0 if way == "logprobs" else 2
        self._patience = patience or Patience()
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = httpx.Client(headers=headers, limits=httpx.Limits(max_connections=concurrency))

    def close(self) -> None:
        self._client.close()

    def request(self, ask: Ask) -> dict[str, Any]:
        return self._payload(Ask(ask.comparison, "", ask.reminders, ask.repeat))

    def estimate(self, asks: Sequence[Ask]) -> Estimate:
        """Of asking these once, without retries and reminders."""
        conversations = [self._payload(ask)["messages"] for ask in asks]
        return estimate(conversations, max_output=MAX_TOKENS[self.way], prices=self.ledger.prices)

    def ask(self, asks: Sequence[Ask], *, on_reply: OnReply, should_stop: Callable[[], bool]) -> None:
        """Raises BudgetSpent and JudgeRefused, both only once the calls under way have been delivered."""
        waiting: Iterator[int] = iter(range(len(asks)))
        running: dict[Future[tuple[Reply, int]], int] = {}
        ended: Exception | None = None
        stopping = False
        wrong = 0

        def end() -> bool:
            return stopping or should_stop()

        with ThreadPoolExecutor(self.concurrency, thread_name_prefix="judge") as threads:
            while True:
                while ended is None and not should_stop() and len(running) < self.concurrency:
                    index = next(waiting, None)
                    if index is None:
                        break
                    running[threads.submit(self._reply, asks[index], end)] = index
                if not running:
                    break
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    index = running.pop(future)
                    try:
                        reply, status = future.result()
                    except (BudgetSpent, JudgeRefused) as error:
                        ended, stopping = ended or error, True
                        continue
                    wrong = -1 if wrong < 0 or not reply.failure else wrong + (400 <= status < 500)
                    if wrong >= REFUSED_AT_FIRST and ended is None:
                        ended, stopping = JudgeRefused(f"{self.url}: {reply.failure}. Every call is refused."), True
                    on_reply(index, reply)
        if ended is not None:
            raise ended

    def read(self, reply: Reply) -> Reading:
        names = self.rubric.names
        if self.way == "logprobs":
            if reply.logprobs is None:
                return invalid("the server gave no log-probabilities")
            return parse_logprobs(reply.logprobs, names)
        parse = {"json": parse_json, "choice": parse_choice, "text": parse_marked}[self.way]
        return parse(reply.text, names)

    def _payload(self, ask: Ask) -> dict[str, Any]:
        payload: dict[str, Any] = {
            "model": self.model,
            "messages": judge_messages(self.rubric, ask, FORMS[self.way]),
            "max_tokens": MAX_TOKENS[self.way],
            "temperature": 0,
        }
        names = list(self.rubric.names)
        if self.way == "json":
            payload["response_format"] = {"type": "json_schema", "json_schema": verdict_schema(names)}
        elif self.way == "choice":
            payload["structured_outputs"] = {"choice": names}
        elif self.way == "logprobs":
            payload |= {"logprobs": True, "top_logprobs": ALTERNATIVES}
        return payload

    def _reply(self, ask: Ask, should_stop: Callable[[], bool]) -> tuple[Reply, int]:
        """The reply and the last HTTP status. Tries that may have been billed are paid for like answered ones."""
        payload = self._payload(ask)
        tokens = {"input_tokens": most_tokens(payload["messages"]), "output_tokens": MAX_TOKENS[self.way]}
        held = [self.ledger.reserve(**tokens)]

        def may_try() -> bool:
            try:
                held.append(self.ledger.reserve(**tokens))
            except BudgetSpent:
                return False
            return True

        begun = time.monotonic()
        answer = Answer(None)
        try:
            answer = call(
                self._client,
                f"{self.url}/chat/completions",
                payload,
                patience=self._patience,
                should_stop=should_stop,
                may_try=may_try,
            )
        finally:
            paid = [self.ledger.book(one, None, **tokens) for one in held[: answer.billed]]
            rest = held[answer.billed :]
            if answer.body is not None and rest:
                paid.append(self.ledger.book(rest.pop(0), answer.body.get("usage"), **tokens))
            for one in rest:
                self.ledger.release(one)
        usage = sum(paid[1:], paid[0]) if paid else Reply().usage
        took = time.monotonic() - begun
        if answer.body is None:
            return Reply(failure=answer.problem or "no reply", usage=usage, latency_s=took), answer.status
        text, logprobs, problem = _content(answer.body)
        return Reply(
            text=text,
            logprobs=logprobs,
            failure=problem,
            model=_text(answer.body.get("model")) or self.model,
            fingerprint=_text(answer.body.get("system_fingerprint")),
            usage=usage,
            latency_s=took,
        ), answer.status


def verdict_schema(names: Sequence[str]) -> dict[str, Any]:
    """Reasons first, so that the verdict follows from them."""
    properties = {"reasons": {"type": "string"}, "verdict": {"type": "string", "enum": list(names)}}
    schema = {
        "type": "object",
        "properties": properties,
        "required": ["reasons", "verdict"],
        "additionalProperties": False,
    }
    return {"name": "verdict", "strict": True, "schema": schema}


def _content(body: dict[str, Any]) -> tuple[str, tuple[tuple[str, float], ...] | None, str]:
    """(text, log-probabilities of the first token, problem). An empty or filtered text is a reply without verdict."""
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        return "", None, "the reply has no choices: the server is not OpenAI-compatible"
    message = choices[0].get("message")
    text = _text(message.get("content")) if isinstance(message, dict) else ""
    try:
        top = choices[0]["logprobs"]["content"][0]["top_logprobs"]
        return text, tuple((str(one["token"]), float(one["logprob"])) for one in top), ""
    except (KeyError, TypeError, IndexError, ValueError):
        return text, None, ""


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
