"""Tells the operator of the use of keys: `usage.py` remembers, this writes it into ConfigMaps, paced, and only what changed.

Versions on their way out come first, within seconds: the operator waits for them. "Nobody used it" is said too, by naming the version;
and up to when that holds is a note on this replica's Lease, which is renewed anyway. Days of use may take their time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from keyturn.api.use_report import DAYS_ENTRY, REPORTED_TIME_ANNOTATION, RETIRING_ENTRY, read_days, read_retiring
from keyturn.base.clock import Clock, format_time
from keyturn.base.errors import KeyturnError
from keyturn.base.log_output import get_logger
from keyturn.cluster.replica_reports import ReplicaReports, UseReport
from keyturn.verifier.service import metrics
from keyturn.verifier.service.app_folder import LAG, AppFolder
from keyturn.verifier.service.settings import VerifierSettings
from keyturn.verifier.store import Store
from keyturn.verifier.usage import Usage

TICK: Final = 1.0
"""Seconds between two collections."""
BYTES_A_SECOND: Final = 16 * 1024
"""What one replica writes at most in the long run: a full shard of 256 KiB every 16 seconds."""
HOUR: Final = 3600.0
PATIENCE_AT_THE_END: Final = 3.0
LONGEST_PAUSE: Final = 30.0

log = get_logger(__name__)


class UseReporter:
    """One replica's reports. `run` until cancelled, then `finish`."""

    def __init__(
        self,
        reports: ReplicaReports,
        settings: VerifierSettings,
        store: Store,
        usage: Usage,
        *,
        clock: Clock,
        monotonic: Callable[[], float] = time.monotonic,
        app: AppFolder | None = None,
    ) -> None:
        self._reports, self._store, self._usage = reports, store, usage
        self._clock, self._monotonic, self._app = clock, monotonic, app
        self._pause = settings.use_report_pause.total_seconds()
        self._day_pause = settings.use_day_pause.total_seconds()
        self._remembers = False
        self._reported: float | None = None
        self._retiring_due = self._days_due = self._hourly_due = float("-inf")
        self._texts: list[str] = []
        self._days_written: dict[int, float] = {}
        self._failures = 0

    def notes(self) -> Mapping[str, str]:
        """For this replica's Lease: up to when every use of a version on its way out is told."""
        if self._reported is None:
            return {}
        return {REPORTED_TIME_ANNOTATION: format_time(datetime.fromtimestamp(int(self._reported), UTC))}

    async def run(self) -> None:
        """Collect every second, and write what is due."""
        while True:
            await asyncio.sleep(min(TICK * 2**self._failures, LONGEST_PAUSE))
            try:
                await self.turn()
                self._failures = 0
            except KeyturnError as error:
                self._failures = min(self._failures + 1, 5)
                metrics.USE_REPORTS.labels(result="failed").inc()
                if self._failures == 1:
                    log.warning("Use could not be reported and will be tried again", problem=str(error))

    async def turn(self) -> None:
        """Take in what was used, and write what is due. Raises KeyturnError where a write failed; it is due again then."""
        if not self._store.is_complete:
            return  # what this replica does not know yet it must not call unused
        if not self._remembers:
            await self._remember()
        began, at = self._monotonic(), self._collect()
        if began >= self._hourly_due:
            self._hourly_due = began + HOUR
            self._tidy_up()
        if self._usage.retiring.changed and began >= self._retiring_due:
            size = await self._write_retiring()
            self._retiring_due = began + max(self._pause, size / BYTES_A_SECOND)
        if not self._usage.retiring.changed:
            self._reported = at if self._app is None else at - LAG
        await self._write_days(began)

    def _tidy_up(self) -> None:
        self._usage.forget_ended(self._store.live)
        self._texts.clear()  # somebody may have removed what stood there
        self._usage.retiring.forget_written()

    async def finish(self) -> None:
        """The last word, when nothing is answered any more."""
        if not self._remembers:
            return
        try:
            async with asyncio.timeout(PATIENCE_AT_THE_END):
                self._collect()
                self._collect()  # an application's last uses are put aside by the first, and read by the second
                if self._usage.retiring.changed:
                    await self._write_retiring()
                for shard in sorted(self._usage.days.changed):
                    await self._write_shard(shard)
        except (KeyturnError, TimeoutError) as error:
            log.warning("The last uses could not be reported", problem=str(error))

    def _collect(self) -> float:
        now = self._clock().timestamp()
        if self._app is not None:
            self._app.take_uses(self._usage.note)
        self._usage.collect(self._store.live, self._store.retiring, now=now)
        return now

    async def _remember(self) -> None:
        """Take up what an earlier process of this name said, and may not have had the time to say."""
        for report in await self._reports.of_use():
            self._take_up(report)
        self._remembers = True

    def _take_up(self, report: UseReport) -> None:
        now = self._clock()
        self._usage.may_have_been_used(read_retiring(report.retiring, now=now), now=now.timestamp())
        for record_name, day in read_days(report.days, now=now):
            self._usage.days.note(record_name, day)

    async def _write_retiring(self) -> int:
        texts = self._usage.retiring.texts()
        size = 0
        self._texts.extend("?" for _ in range(len(texts) - len(self._texts)))
        for shard, text in enumerate(texts):
            if text != self._texts[shard]:
                await self._write(f"retiring-{shard}", RETIRING_ENTRY, text)
                self._texts[shard] = text
                size += len(text)
        self._usage.retiring.note_written()
        return size

    async def _write_days(self, began: float) -> None:
        """One shard at a time: news soon, another day of steady use when an hour has passed."""
        days = self._usage.days
        due = [shard for shard in days.changed if shard in days.news or began >= self._written_at(shard) + self._day_pause]
        if not due or began < self._days_due:
            return
        size = await self._write_shard(min(due, key=self._written_at))
        self._days_due = began + max(self._pause, size / BYTES_A_SECOND)

    def _written_at(self, shard: int) -> float:
        return self._days_written.get(shard, float("-inf"))

    async def _write_shard(self, shard: int) -> int:
        text = self._usage.days.take(shard)
        try:
            await self._write(f"days-{shard}", DAYS_ENTRY, text)
        except KeyturnError:
            self._usage.days.give_back(shard)
            raise
        self._days_written[shard] = self._monotonic()
        return len(text)

    async def _write(self, shard: str, entry: str, text: str) -> None:
        await self._reports.write_use(shard, entry, text)
        metrics.USE_REPORTS.labels(result="done").inc()
