"""The independent pieces of a study on an engine: fits, tuned policies, networks of each training seed, simulations.

A task makes the study anew from the config and the run's folder, makes its piece, and keeps it among the run's parts.
The run then goes on as it would without an engine, and reads what is there: so results are the same with each, and
whatever a task could not make the run makes itself, or fails with the same error.
"""

from __future__ import annotations

import importlib
import json
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from time import process_time
from typing import Any, cast

from ..executor import Executor, Task, open_executor, run_tasks
from ..parts import Parts
from ..progress import Progress, begin_stage, no_progress
from ..tasks import one_thread
from ..training.seeds import training_seeds
from ..training.train import TrainingProblem, is_trained, needs_training, train_network
from .backtest import Backtest, Study, begin
from .config import StudyConfig
from .data import StudyData
from .folds import Fold, training_problem
from .refits import looks_back
from .scale_section import ScaleConfig

Key = tuple[str | int, ...]
SECONDS = "seconds.json"
"""File of a task's part: CPU time by stage, and the forecaster that it was spent on."""


@dataclass(frozen=True)
class Recipe:
    """What a worker makes the study of a run from.

    Attributes:
        begin: the function that begins it, "package.module:name"; called with the config, a progress callback and data.
        config: TOML of what is set.
        folder: of the run's parts.
        data: in place of what the config names.
    """

    begin: str
    config: str
    folder: Path
    data: StudyData | None = None


@dataclass(frozen=True)
class Pieces:
    """What a study needs of a forecaster: see `Study.forecast`.

    Attributes:
        policies: names.
        paths: simulated, beside the history, for networks to learn from.
        back: whether earlier origins are forecast.
    """

    policies: tuple[str, ...]
    paths: int = 0
    back: bool = True

    def fits(self, study: Study) -> list[int]:
        """Return the first period that each fit does not know."""
        untils: list[int] = []
        for window in study.windows:
            earlier = window.fits if self.back else () if untils else window.fits[-1:]
            untils += [*earlier, window.cutoff]
        return untils


def study_pieces(config: StudyConfig, valued: Sequence[str]) -> dict[str, Pieces]:
    """Return what `run_study` needs of each forecaster.

    Args:
        config: of the study.
        valued: policies that forecasters are valued with.
    """
    names = config.policies.names
    paths = config.training.simulated_paths if any(map(is_trained, names)) else 0
    main = Pieces(tuple(dict.fromkeys((*names, *valued))), paths, looks_back(config, [*names, *valued]))
    beside = {name: Pieces(tuple(valued)) for name in config.forecast.names}
    return {**beside, config.forecast.forecaster: main}


@dataclass(frozen=True, eq=False)
class Engine:
    """What runs the independent pieces of a study.

    Attributes:
        executor: runs them.
        recipe: the study.
        study: the same one in this process: it has the parts, counts CPU time and receives progress.
        spent: CPU-seconds of tasks by forecaster; they are added up.
    """

    executor: Executor
    recipe: Recipe
    study: Study
    spent: dict[str, float] = field(default_factory=dict)

    def run(self, title: str, function: str, calls: Mapping[Key, Mapping[str, Any]]) -> dict[Key, Path]:
        """Run a function once for each key, and return the folders with what it wrote.

        Args:
            title: what is done, for people.
            function: "package.module:name", called as `function(folder, recipe=…, **arguments)`.
            calls: arguments by key.

        Raises:
            WorkError: where some fail at every attempt.
        """
        if not calls:
            return {}
        parts, seconds = self.study.parts, self.study.seconds
        fresh = [key for key in calls if not parts.holds(key)]
        begin_stage(self.study.progress, title, kept=not fresh)
        tasks = [Task(key, function, {"recipe": self.recipe, **given}) for key, given in calls.items()]
        run_tasks(self.executor, tasks, parts, progress=self.study.progress)
        folders = {key: parts.folder_of(key) for key in calls}
        for key, folder in folders.items():
            found = json.loads((folder / SECONDS).read_text(encoding="utf-8"))
            name, stages = found["forecaster"], found["stages"]
            self.spent[name] = self.spent.get(name, 0.0) + sum(stages.values())
            if key in fresh:  # others were counted by the run that was interrupted
                for stage, spent in stages.items():
                    seconds[stage] = seconds.get(stage, 0.0) + spent
        return folders

    def fit(self, untils: Mapping[str, Iterable[int]]) -> None:
        """Fit forecasters, each on the periods before some of them."""
        given = self.study.data.given
        calls: dict[Key, dict[str, Any]] = {
            ("task", "fit", name, until): {"name": name, "until": until}
            for name, each in untils.items()
            if name not in given
            for until in dict.fromkeys(each)
        }
        self.run("fitting forecasters", f"{__name__}:fit_task", calls)

    def prepare(self, pieces: Mapping[str, Pieces]) -> None:
        """Fit forecasters before every fold, forecast, and tune and train the policies of each.

        Args:
            pieces: by forecaster.
        """
        study, config = self.study, self.study.config
        self.fit({name: each.fits(study.along(name)) for name, each in pieces.items()})
        given = config.policies.options
        to_train = {
            name: [policy for policy in each.policies if needs_training(policy, given.get(policy, {}))]
            for name, each in pieces.items()
        }
        tuned: dict[Key, dict[str, Any]] = {
            ("task", "tune", name): {"forecaster": name, "pieces": pieces[name], "policies": names}
            for name, names in to_train.items()
        }
        self.run("forecasting and tuning", f"{__name__}:tune_task", tuned)
        trained: dict[Key, dict[str, Any]] = {
            ("task", "train", name, policy, seed): {
                "forecaster": name,
                "pieces": pieces[name],
                "policy": policy,
                "seed": seed,
            }
            for name, names in to_train.items()
            for policy in filter(is_trained, names)
            for seed in training_seeds(given.get(policy, {}), config.seed, config.training.seeds)
        }
        self.run("training networks", f"{__name__}:train_task", trained)


@contextmanager
def open_scaled(scale: ScaleConfig) -> Iterator[Executor | None]:
    """Open the executor that a config names, for as long as the block lasts; None where it names none.

    Meanwhile this process computes in one thread, as workers do.
    """
    if scale.engine is None:
        yield None
        return
    with one_thread(), closing(open_executor(scale.engine, scale.workers, scale.address)) as executor:
        yield executor


@contextmanager
def open_engine(
    study: Study,
    config: StudyConfig,
    begin: Callable[[StudyConfig, Progress, StudyData | None], Study],
    data: StudyData | None = None,
) -> Iterator[Engine | None]:
    """Open the engine of a study, as `open_scaled`; None where its config names none.

    Args:
        study: in progress, with its parts.
        config: that the study was made from.
        begin: a function of a module, which makes the study of the config, a progress callback and data.
        data: in place of what the config names.
    """
    with open_scaled(config.scale) as executor:
        if executor is None or study.parts.folder is None:
            yield None
            return
        where = f"{begin.__module__}:{begin.__qualname__}"
        recipe = Recipe(where, config.to_toml(unset=False), study.parts.folder.absolute(), data)
        try:
            yield Engine(executor, recipe, study)
        finally:
            for kept in (worker_study, worker_backtest, worker_policies):
                kept.cache_clear()


def begin_compared(config: StudyConfig, progress: Progress, data: StudyData | None = None) -> Study:
    """Begin a study that holds out periods."""
    return begin(config, config.backtest.periods, progress, data)


def begin_kept(config: StudyConfig, progress: Progress, data: StudyData | None = None) -> Study:
    """Begin a study that holds nothing out: its policy is kept."""
    return begin(config, 0, progress, data)


@lru_cache(maxsize=1)
def worker_study(recipe: Recipe) -> Study:
    """Return the study of a recipe; a worker makes it once for all of its tasks."""
    module, _, name = recipe.begin.partition(":")
    made = getattr(importlib.import_module(module), name)
    config = StudyConfig.from_mapping(tomllib.loads(recipe.config))
    return cast(Study, replace(made(config, no_progress, recipe.data), parts=Parts(recipe.folder)))


@lru_cache(maxsize=1)
def worker_backtest(recipe: Recipe, forecaster: str, pieces: Pieces) -> Backtest:
    """Return a forecaster's folds, no policies yet; a worker makes them once for all of its tasks."""
    return worker_study(recipe).forecast(forecaster, pieces.paths, back=pieces.back)


@lru_cache(maxsize=1)
def worker_policies(recipe: Recipe, forecaster: str, pieces: Pieces, names: tuple[str, ...]) -> Backtest:
    """Return a forecaster's folds with policies, which are read where they are kept; likewise."""
    return worker_study(recipe).with_policies(worker_backtest(recipe, forecaster, pieces), names)


def fit_task(folder: Path, recipe: Recipe, name: str, until: int) -> None:
    """Fit a forecaster on the periods before one."""
    measured(folder, recipe, name, lambda study: study.fit(name, until))


def tune_task(folder: Path, recipe: Recipe, forecaster: str, pieces: Pieces, policies: Sequence[str]) -> None:
    """Forecast in every fold, and tune those of the policies on it that are no networks."""

    def tune(study: Study) -> None:
        for fold in worker_backtest(recipe, forecaster, pieces).folds:
            problem = _problem(study, forecaster, fold)
            for policy in policies:
                if problem is not None and not is_trained(policy):
                    problem.tune(policy)

    measured(folder, recipe, forecaster, tune)


def train_task(folder: Path, recipe: Recipe, forecaster: str, pieces: Pieces, policy: str, seed: int) -> None:
    """Train a network with one seed, before the first fold."""

    def train(study: Study) -> None:
        problem = _problem(study, forecaster, worker_backtest(recipe, forecaster, pieces).folds[0])
        options = {**study.config.policies.options.get(policy, {})}
        options.pop("seed", None)
        if problem is not None:
            train_network(policy, problem, options, seed=seed)

    measured(folder, recipe, forecaster, train)


def _problem(study: Study, forecaster: str, fold: Fold) -> TrainingProblem | None:
    """Return what policies are tuned and trained on before a fold; None where there is nothing to learn from."""
    learning, parts = fold.forecasts.learning, study.parts.under("policy", forecaster, fold.first)
    return None if learning is None else training_problem(study.config, study.data, learning, parts=parts)


def measured(
    folder: Path, recipe: Recipe, forecaster: str, work: Callable[[Study], object], *, strict: bool = False
) -> None:
    """Do a piece of a worker's study, and write down its CPU time.

    Args:
        folder: of the task's part.
        recipe: the study.
        forecaster: that the time is spent on.
        work: the piece.
        strict: whether what it raises is the task's error. Else it is left to the run itself, which needs the piece,
            and raises the same.
    """
    began, stages = process_time(), dict[str, float]()
    try:
        work(replace(worker_study(recipe), seconds=stages))
    except Exception as error:
        if strict:
            raise
        (folder / "error.txt").write_text(f"{type(error).__name__}: {error}", encoding="utf-8")
    stages["tasks"] = max(0.0, process_time() - began - sum(stages.values()))
    found = {"forecaster": forecaster, "stages": stages}
    (folder / SECONDS).write_text(json.dumps(found), encoding="utf-8")
