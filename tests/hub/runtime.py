# SPDX-License-Identifier: Apache-2.0
"""The life of a Space: from a commit over build and start to running, sleeping, paused or failed."""

import threading
import time

from . import frontmatter
from .logs import LogStream

SERVING = ("RUNNING", "RUNNING_BUILDING", "RUNNING_APP_STARTING")
WORKING = ("BUILDING", "APP_STARTING", "RUNNING_BUILDING", "RUNNING_APP_STARTING")
FAILED = ("CONFIG_ERROR", "BUILD_ERROR", "RUNTIME_ERROR")
RESTARTABLE = (*SERVING, "BUILDING", "APP_STARTING", "RUNTIME_ERROR")


class Runtime:
    """One thread per Space does the work; every new order makes the one before it void."""

    def __init__(self, hub, space):
        self.hub, self.space = hub, space
        self.changed = threading.Condition(threading.RLock())
        self.stage, self.message, self.history = "NO_APP_FILE", None, []
        self.handle = self.sha = self.image_sha = self.hardware = None
        self.build_log = self.run_log = None
        self.generation, self.order, self.over, self.thread = 0, None, False, None
        self.last_use = time.monotonic()
        self._stage("NO_APP_FILE")

    # -- what others call

    def created(self):
        if self.space.sdk == "static":
            self._stage("RUNNING")
            return
        if set(self.space.secrets) & set(self.space.variables) or self._app_file() in self.space.repo.files():
            self._give("commit")

    def committed(self, oid):
        if self.space.sdk == "static":
            return
        with self.changed:
            if self.stage != "PAUSED":
                self._give("commit")

    def restart(self, kind):
        """A restart because of `kind`; gives whether one was started."""
        with self.changed:
            forced = kind in ("restart", "factory")
            if self.space.sdk == "static" or not (forced or self.stage in RESTARTABLE):
                return False
            if self.space.repo.head() is None or (not forced and self._app_file() not in self.space.repo.files()):
                return False
            self.space.counts["restarts"] += 1
            self.space.counts[f"restarts_by_{kind}"] += 1
            self.hub.state.counters["restarts"] += 1
            self._stage("BUILDING")
            self._give(kind)
            return True

    def pause(self):
        with self.changed:
            self._void()
            self._stage("PAUSED")
        self._stop_app(wait=False)

    def wake(self):
        """Called for a visit of the app: a sleeping Space starts again."""
        with self.changed:
            if self.stage not in ("SLEEPING", "STOPPED"):
                return
            if self.over_quota():
                self._stage("PAUSED")
                return
            self._stage("BUILDING")
            self._give("wake")

    def sleep(self):
        with self.changed:
            self._void()
            self._stage("SLEEPING")
        self._stop_app()

    def force(self, stage, message=None):
        """A stage set by a test; work in hand is dropped, a serving app goes on only in serving stages."""
        with self.changed:
            self._void()
            self._stage(stage, message)
        if stage not in SERVING:
            self._stop_app()

    def deleted(self):
        with self.changed:
            self._void()
            self._stage("DELETING")
        threading.Thread(target=self.shutdown).start()

    def shutdown(self):
        with self.changed:
            self.over = True
            self._void()
        thread = self.thread
        if thread and thread is not threading.current_thread():
            thread.join(30)
        self._stop_app()
        for log in (self.build_log, self.run_log):
            if log:
                log.close()

    def over_quota(self):
        quota = self.hub.state.settings.running_quota
        if quota is None:
            return False
        busy = [
            space
            for space in self.hub.state.spaces.values()
            if space is not self.space
            and space.owner == self.space.owner
            and space.runtime.stage in (*SERVING, *WORKING)
        ]
        return len(busy) >= quota

    def used(self):
        self.last_use = time.monotonic()

    def wait_for_change(self, seconds):
        with self.changed:
            self.changed.wait(seconds)

    def wait_for_log(self, kind):
        """The present log; while work is under way and there is none yet, the one that comes."""
        with self.changed:
            while not self.over:
                log = self.build_log if kind == "build" else self.run_log
                if log is not None or not (self.order or self.stage in WORKING):
                    return log
                self.changed.wait(1)
        return None

    def describe(self, caller=None):
        space, settings = self.space, self.hub.state.settings
        with self.changed:
            if space.sdk == "static":
                return {
                    "stage": self.stage,
                    "hardware": {"current": None, "requested": None},
                    "storage": None,
                    "replicas": {"requested": 1, "current": 1},
                }
            answer = {
                "stage": self.stage,
                "hardware": {"current": self.hardware if self.handle else None, "requested": space.hardware},
                "storage": space.storage,
                "gcTimeout": space.sleep_seconds,
                "replicas": {"requested": space.replicas},
                "devMode": space.dev_mode,
                "domains": [{"domain": space.app.domain, "stage": "READY"}],
            }
            if self.handle:
                answer["replicas"]["current"] = 1
            form = settings.replicas_form
            if form == "auto":
                answer["replicas"]["requested"] = "auto"
            elif form == "null":
                answer["replicas"]["current"] = None
            elif form == "absent":
                answer["replicas"].pop("current", None)
            if self.message is not None and self.stage in FAILED:
                answer["errorMessage"] = self.message
            if self.sha and self.stage in SERVING:
                answer["sha"] = self.sha
            if space.volumes:
                mine = caller is not None and self.hub.state.role_in(space.owner, caller)
                answer["volumes"] = [item if mine else {**item, "source": self._source(item)} for item in space.volumes]
            return answer

    def _source(self, volume):
        """A private source is not shown to outsiders."""
        other = self.hub.state.spaces.get(volume["source"]) if volume["type"] == "space" else None
        return volume["source"] if other is not None and other.visibility == "public" else "****/******"

    # -- the work

    def _give(self, kind):
        with self.changed:
            self.generation += 1
            self.order = kind
            self.changed.notify_all()
            if self.thread is None:
                self.thread = threading.Thread(target=self._loop, daemon=True)
                self.thread.start()

    def _void(self):
        with self.changed:
            self.generation += 1
            self.order = None
            self.changed.notify_all()

    def _stage(self, stage, message=None):
        with self.changed:
            if self.stage == "DELETING" and stage != "DELETING":
                return
            if (stage, message) == (self.stage, self.message) and self.history:
                return
            self.stage, self.message = stage, message
            self.history.append({"t": time.time(), "stage": stage, "message": message})
            self.changed.notify_all()

    def _loop(self):
        while not self.over:
            with self.changed:
                while self.order is None and not self.over:
                    self.changed.wait(0.1 if self.handle else None)
                    if self.handle and self.order is None:
                        break
                kind, self.order = self.order, None
                generation = self.generation
            if self.over:
                return
            if kind is None:
                self._watch(generation)
                continue
            try:
                self._cycle(kind, generation)
            except Exception as error:
                if self._current(generation):
                    self._fail("RUNTIME_ERROR", f"Scheduling failure: {type(error).__name__}: {error}", generation)
                    raise

    def _current(self, generation):
        return generation == self.generation and not self.over

    def _pause_for(self, seconds, generation):
        """Waits; gives whether the order still stands."""
        until = time.monotonic() + seconds
        with self.changed:
            while self._current(generation) and (left := until - time.monotonic()) > 0:
                self.changed.wait(left)
        return self._current(generation)

    def _watch(self, generation):
        """A look at the running app: has it ended, has nobody used it?"""
        handle = self.handle
        if handle is None or not self._current(generation):
            return
        code = handle.exit_code()
        if code is not None:
            self._fail("RUNTIME_ERROR", f"Exit code: {code}. Reason: {handle.reason()}", generation)
            return
        limit = self.space.sleep_seconds
        if (
            limit
            and self.stage == "RUNNING"
            and time.monotonic() - self.last_use > limit * self.hub.state.settings.sleep_scale
        ):
            self.sleep()

    def _stop_app(self, wait=True):
        """Takes the app out of service at once; its end may take the grace time, which nobody has to wait for."""
        with self.changed:
            handle, self.handle, self.sha, self.hardware = self.handle, None, None, None
            log = self.run_log

        def end():
            if handle:
                handle.stop()
            if log:
                log.close()

        if wait:
            end()
        else:
            threading.Thread(target=end).start()

    def _fail(self, stage, message, generation):
        with self.changed:
            if not self._current(generation):
                return
            self._stage(stage, message)
        self._stop_app()

    def _app_file(self):
        return "Dockerfile" if self.space.sdk == "docker" else "app.py"

    def _front_matter(self, files):
        entry = files.get("README.md")
        if entry is None or entry.sha256:
            return None
        return frontmatter.parse(self.space.repo.read_object(entry.oid).decode("utf-8", "replace"))

    def _configuration_problem(self, files):
        matter = self._front_matter(files)
        if matter is None or matter.get("sdk") not in frontmatter.SDKS:
            return "CONFIG_ERROR", "Missing configuration in README"
        if set(self.space.secrets) & set(self.space.variables):
            return "CONFIG_ERROR", "Collision on variables and secrets names"
        if self._app_file() not in files:
            return "NO_APP_FILE", None
        return None

    def _cycle(self, kind, generation):
        settings, space = self.hub.state.settings, self.space
        if kind == "commit" and not self._pause_for(settings.lag, generation):
            return
        head = space.repo.head()
        files = space.repo.commits[head].files
        problem = self._configuration_problem(files)
        if problem:
            self.build_log = self.run_log = None
            self._fail(*problem, generation)
            return
        updating = kind == "commit" and self.handle is not None
        if not updating:
            if kind == "commit" and self.over_quota():
                self._fail("PAUSED", None, generation)
                return
            self._stop_app()
        rebuild = (
            kind in ("commit", "factory")
            or self.image_sha != head
            or (kind == "variable" and settings.variable_rebuilds)
        )
        with self.changed:
            if not self._current(generation):
                return
            self._stage("RUNNING_BUILDING" if updating else "BUILDING")
        if rebuild and not self._build(head, kind == "factory", generation):
            return
        if self._current(generation):
            self._start(head, files, updating, generation)

    def _build(self, head, factory, generation):
        space = self.space
        log = LogStream()
        log.add(
            time.strftime(f"===== Build Queued at %Y-%m-%d %H:%M:%S / Commit SHA: {head[:7]} =====\n", time.gmtime())
        )
        self._pause_for(self.hub.state.settings.build_log_lag, generation)
        with self.changed:
            old, self.build_log = self.build_log, log
            self.changed.notify_all()
        if old:
            old.close()
        space.counts["builds"] += 1
        self.hub.state.counters["builds"] += 1
        problem = self.hub.engine.build(space, head, log, factory, lambda: not self._current(generation))
        log.close()
        if not self._current(generation):
            return False
        if problem is None:
            self.image_sha = head
            return True
        if self.hub.state.settings.old_app_after_build_error and self.handle:
            self._stage("BUILD_ERROR", problem)
        else:
            self._fail("BUILD_ERROR", problem, generation)
        return False

    def _start(self, head, files, updating, generation):
        settings, space = self.hub.state.settings, self.space
        log = LogStream()
        log.add(time.strftime("===== Application Startup at %Y-%m-%d %H:%M:%S =====\n", time.gmtime()))
        log.add("\n")
        with self.changed:
            if not self._current(generation):
                return
            old_log, self.run_log = self.run_log, log
            self._stage("RUNNING_APP_STARTING" if updating else "APP_STARTING")
        if old_log:
            old_log.close()
        if settings.scheduling_failure:
            self._fail("RUNTIME_ERROR", f"Scheduling failure: {settings.scheduling_failure}", generation)
            return
        matter = self._front_matter(files)
        handle = self.hub.engine.start(space, head, matter, log)
        declared = frontmatter.startup_seconds(matter)
        until = time.monotonic() + (settings.launch_timeout or declared)
        while True:
            if not self._current(generation):
                handle.stop()
                return
            code = handle.exit_code()
            if code is not None:
                reason = handle.reason()
                handle.stop()
                self._fail("RUNTIME_ERROR", f"Exit code: {code}. Reason: {reason}", generation)
                return
            if handle.healthy():
                break
            if time.monotonic() > until:
                handle.stop()
                self._fail(
                    "RUNTIME_ERROR",
                    f"Launch timed out, workload was not healthy after {int(declared // 60)} min",
                    generation,
                )
                return
            self._pause_for(settings.probe_interval, generation)
        with self.changed:
            if not self._current(generation):
                handle.stop()
                return
            old, self.handle, self.sha, self.hardware = self.handle, handle, head, space.hardware
            self.used()
            self._stage("RUNNING")
        if old:
            old.stop()
