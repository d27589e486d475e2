"""What is served: promote, roll back, adopt the gate's decisions, and make the slot follow the ledger.

A Deployment row says what should be served; one thread makes it so and writes what came of it as events. A checkpoint
that cannot be loaded leaves the old one serving and its reason on the ledger.
"""

import logging
import threading
from dataclasses import dataclass
from pathlib import Path

from sqlmodel import Session, col, select

from app.project import bind_model
from app.runs import Runs
from app.serving.slot import Slot, SwapFailed
from storage.canary import canary_roll_back, evaluation_scores
from storage.checkpoints import INITIAL, get_checkpoint
from storage.comparisons import drop_waiting
from storage.database import Database
from storage.deployments import (
    LedgerEntry,
    current_deployment,
    ledger,
    previously_served,
    record_deployment,
    record_event,
)
from storage.errors import Conflict
from storage.evaluations import gate_decision_of
from storage.preferences import count_choices
from storage.settings import get_setting, record_setting
from storage.tables import (
    Checkpoint,
    CheckpointKind,
    Deployment,
    DeploymentReason,
    GateDecisionRow,
    Outcome,
    RunStatus,
    TrainingRun,
)
from trainer.gate_rules import ALPHA, shown_worse
from trainer.policy import Policy, in_memory, load_policy

log = logging.getLogger(__name__)

PAUSE = "promotion_pause"
PAUSE_CHOICES = 30
MOST_TRIES = 10  # deployments tried in a row, newest first, before the slot is left as it is
# nobody's newer word is overruled: what a person or the canary put there stays
UNWATCHED = (DeploymentReason.initial, DeploymentReason.rollback, DeploymentReason.canary)


@dataclass(frozen=True)
class Serving:
    """What is really served now."""

    deployment: Deployment
    checkpoint: Checkpoint


class Promotion:
    """Owner of the slot's content. Every swap goes through `_follow`, one at a time."""

    def __init__(
        self,
        database: Database,
        slot: Slot,
        runs: Runs,
        *,
        data_dir: Path,
        initial_model: str,
        model_source: str,
        device: str,
        canary: bool = True,
    ) -> None:
        self._database = database
        self._slot = slot
        self._runs = runs
        self._data_dir = data_dir
        self._initial_model = initial_model
        self._model_source = model_source
        self._device = device
        self._canary = canary
        self._swapping = threading.Lock()

    def bind(self) -> None:
        """Bind the data directory to its initial model. Raises Conflict when it belongs to another one."""
        bind_model(self._database, initial_model=self._initial_model, model_source=self._model_source)
        with self._database.write() as session:
            if current_deployment(session) is None:
                record_deployment(session, checkpoint_id=INITIAL, reason=DeploymentReason.initial, by="prefloop")

    def open(self) -> str:
        """Load and serve what the ledger says. Returns why nothing could be, empty where something is served."""
        self._follow()
        if self._slot.current_id is not None:
            return ""
        failed = [e.detail for entry in self.ledger() for e in reversed(entry.events) if e.event == "failed"]
        return failed[0] if failed else "The ledger names no checkpoint to serve."

    def load(self, checkpoint_id: str) -> Policy:
        """Load any checkpoint of this project, verified against its manifest, and free of its files from then on."""
        with self._database.read() as session:
            checkpoint = get_checkpoint(session, checkpoint_id)
        if checkpoint.kind is CheckpointKind.reward_model:
            raise Conflict(f"{checkpoint_id} is a reward model; it scores text and cannot be served.")
        if checkpoint.id == INITIAL:
            return in_memory(load_policy(self._model_source, device=self._device))
        folder = self._data_dir / checkpoint.source
        return in_memory(load_policy(folder, device=self._device, base=self._model_source))

    def promote(self, checkpoint_id: str, *, by: str, note: str = "") -> tuple[Deployment, bool]:
        """Serve this checkpoint; (row, whether it is new). One that the gate did not promote is an override."""
        with self._database.write() as session:
            decision = gate_decision_of(session, checkpoint_id)
            passed = checkpoint_id == INITIAL or (decision is not None and decision.outcome is Outcome.promote)
            reason = DeploymentReason.person if passed else DeploymentReason.override
            deployment, created = record_deployment(
                session, checkpoint_id=checkpoint_id, reason=reason, by=by, note=note
            )
        self._follow()
        return deployment, created

    def roll_back(self, *, by: str, note: str = "") -> Deployment:
        """Serve the checkpoint that was served before this one. Raises Conflict when there was none."""
        with self._database.write() as session:
            target = previously_served(session)
            if target is None:
                raise Conflict("Nothing was served before this checkpoint.", hint="Promote one instead.")
            deployment, _ = record_deployment(
                session, checkpoint_id=target, reason=DeploymentReason.rollback, by=by, note=note
            )
        self._follow()
        return deployment

    def adopt_decisions(self) -> Deployment | None:
        """Promote the newest checkpoint that passed the gate since the last deployment, if that is automatic."""
        if self._runs.schedule().after_gate != "automatic" or self.paused_for():
            return None
        with self._database.write() as session:
            passed = self._waiting_decision(session)
            if passed is None:
                return None
            deployment, _ = record_deployment(
                session,
                checkpoint_id=passed.checkpoint_id,
                reason=DeploymentReason.gate,
                by="prefloop",
                note=" ".join(passed.deciding),
            )
        self._follow()
        return deployment

    def watch_canary(self) -> Deployment | None:
        """Roll back when people's evaluation choices find the served checkpoint worse than the one before it.

        They are tested after each choice, and only those made since it is served: what was said before it was promoted
        again is no news to whoever did that.
        """
        if not self._canary:
            return None
        with self._database.read() as session:
            served, previous = current_deployment(session), previously_served(session)
            if served is None or previous is None or served.reason in UNWATCHED:
                return None
            scores = evaluation_scores(
                session, candidate_id=served.checkpoint_id, baseline_id=previous, since=served.created_at
            )
        if not shown_worse(scores):
            return None
        note = (
            f"People prefer {previous}: {served.checkpoint_id} scores {sum(scores) / len(scores):.0%} on {len(scores)} "
            f"evaluation prompts (a test valid at every look, wrong in {ALPHA:.0%} at most). "
            f"Nothing is promoted by itself until {PAUSE_CHOICES} more choices are made."
        )
        with self._database.write() as session:
            still = current_deployment(session)
            if still is None or still.id != served.id:
                return None  # somebody was quicker; it is not that one which people found worse
            record_setting(session, PAUSE, {"until_choices": count_choices(session) + PAUSE_CHOICES})
            deployment, _ = record_deployment(
                session, checkpoint_id=previous, reason=DeploymentReason.canary, by="prefloop", note=note
            )
        self._follow()
        return deployment

    def rolled_back(self, checkpoint_id: str) -> Deployment | None:
        """How the canary took this checkpoint out of service; None where it did not."""
        with self._database.read() as session:
            return canary_roll_back(session, checkpoint_id)

    def paused_for(self) -> int:
        """Choices still to be made before promotion is automatic again; 0 when it is not paused."""
        with self._database.read() as session:
            until = int(get_setting(session, PAUSE).get("until_choices", 0))
            return max(0, until - count_choices(session)) if until else 0

    def waiting_for_person(self) -> str | None:
        """A checkpoint that passed the gate since the last deployment and is not served."""
        with self._database.read() as session:
            passed = self._waiting_decision(session)
            return passed.checkpoint_id if passed else None

    def _waiting_decision(self, session: Session) -> GateDecisionRow | None:
        """A decision made before the newest deployment is stale: it was measured against another model."""
        served = current_deployment(session)
        newest = session.exec(
            select(GateDecisionRow)
            .join(TrainingRun, col(TrainingRun.id) == col(GateDecisionRow.run_id))
            .where(TrainingRun.status == RunStatus.succeeded, GateDecisionRow.outcome == Outcome.promote)
            .order_by(col(TrainingRun.number).desc())  # they end in this order, whatever the clock says
            .limit(1)
        ).first()
        if newest is None or served is None or _older(newest, served):
            return None
        if newest.baseline_id != served.checkpoint_id or self._was_deployed(session, newest.checkpoint_id):
            return None
        return newest

    @staticmethod
    def _was_deployed(session: Session, checkpoint_id: str) -> bool:
        return session.exec(select(Deployment).where(Deployment.checkpoint_id == checkpoint_id)).first() is not None

    def serving(self) -> Serving | None:
        """What requests are answered by; None before the first model is loaded."""
        checkpoint_id = self._slot.current_id
        if checkpoint_id is None:
            return None
        with self._database.read() as session:
            for entry in ledger(session):
                if entry.deployment.checkpoint_id == checkpoint_id and any(e.event == "serving" for e in entry.events):
                    return Serving(entry.deployment, get_checkpoint(session, checkpoint_id))
        return None

    def ledger(self, *, limit: int = 100) -> list[LedgerEntry]:
        """Newest first."""
        with self._database.read() as session:
            return ledger(session, limit=limit)

    def roll_back_target(self) -> str | None:
        """The name of the checkpoint that a roll back would serve; None where there is none."""
        with self._database.read() as session:
            target = previously_served(session)
            return get_checkpoint(session, target).name if target else None

    def _follow(self) -> None:
        """Make the slot serve what the ledger says; a failure is written down and the ledger's older word holds."""
        with self._swapping:
            for _ in range(MOST_TRIES):
                with self._database.read() as session:
                    wanted = current_deployment(session)
                if wanted is None or wanted.id is None:
                    return
                if self._slot.current_id == wanted.checkpoint_id and self._told_serving(wanted.id):
                    return
                if self._swap(wanted):
                    return

    def _told_serving(self, deployment_id: int) -> bool:
        return any(
            e.event == "serving"
            for entry in self.ledger()
            if entry.deployment.id == deployment_id
            for e in entry.events
        )

    def _swap(self, wanted: Deployment) -> bool:
        assert wanted.id is not None
        deployment_id = wanted.id

        def tell(event: str, detail: str = "") -> None:
            with self._database.write() as session:
                record_event(session, deployment_id=deployment_id, event=event, detail=detail)
                if event == "serving":
                    drop_waiting(session, before_generation=deployment_id)

        with self._database.read() as session:
            expected = get_checkpoint(session, wanted.checkpoint_id).digest
        try:
            self._slot.swap(
                wanted.checkpoint_id,
                lambda: self.load(wanted.checkpoint_id),
                expected_digest=expected,
                on_event=tell,
            )
        except SwapFailed as error:
            log.warning("checkpoint %s was not served: %s", wanted.checkpoint_id, error)
            return False
        return True


def _older(decision: GateDecisionRow, served: Deployment) -> bool:
    """Whether the decision was made before this deployment: by the ledger, since clocks are set back now and then."""
    stood = decision.figures.get("deployment")
    if stood is None or served.id is None:  # nothing was served yet
        return decision.created_at < served.created_at
    return int(stood) < served.id
