"""What a person sees: notebooks in JupyterLab and runs in MLflow's pages, driven by a real browser."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
import pytest
from mlflow import MlflowClient
from playwright.sync_api import Page, expect, sync_playwright

from fusion_rl.batch.notebooks import run_notebook
from fusion_rl.tracking import views
from fusion_rl.tracking.base import RunRecord
from fusion_rl.tracking.mlflow_store import open_store, ui_command
from tests.services.servers import free_port, wait_for

REPOSITORY = Path(__file__).resolve().parents[2]
NOTEBOOK = "01_train_and_compare"
TINY = {
    "timesteps": 2_048,
    "final_requests": 1_600,
    "settings": [
        "execution.lanes=16", "execution.eval_every=1024", "execution.eval_requests=800", "algorithm.n_steps=32",
        "algorithm.batch_size=128", "algorithm.net_arch=[16]", "execution.register_model=true",
        "execution.progress=false",
    ],
}  # fmt: skip
CHROMIUM = shutil.which("chromium")
QUIET = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync")
A_WHILE_MS = 120_000  # what a page may take on a busy machine

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")]


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    """A browser's page, which keeps what it has been told to keep from one test to the next."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        page = browser.new_page(viewport={"width": 1500, "height": 950})
        page.set_default_timeout(A_WHILE_MS)
        expect.set_options(timeout=A_WHILE_MS)
        yield page
        browser.close()


@pytest.fixture
def keep(page: Page, tmp_path: Path) -> Iterator[Path]:
    """Where pictures go; FUSION_RL_SCREENSHOTS names a folder for whoever wants to look at them."""
    folder = Path(os.environ.get("FUSION_RL_SCREENSHOTS", str(tmp_path)))
    folder.mkdir(parents=True, exist_ok=True)
    page.goto("about:blank")  # MLflow's pages otherwise go on from what the test before has left
    yield folder
    page.screenshot(path=folder / f"last-{tmp_path.name}.png")


@contextmanager
def serving(command: list[str], folder: Path, answers: str) -> Iterator[None]:
    server = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        wait_for(answers, server)
        yield
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=60)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of two seeds, made by the notebook without a screen."""
    folder = tmp_path_factory.mktemp("pages")
    for seed in (1, 2):
        values = {**TINY, "seed": seed, "tracking_dir": str(folder / "mlruns")}
        run_notebook(REPOSITORY / "notebooks" / f"{NOTEBOOK}.ipynb", values, folder / f"seed{seed}.ipynb")
    return folder / "mlruns"


@pytest.fixture(scope="module")
def address(store: Path) -> Iterator[str]:
    """MLflow's pages of these runs."""
    port = free_port()
    with serving(ui_command(store, port), store.parent, f"http://127.0.0.1:{port}/health"):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def runs(store: Path) -> list[RunRecord]:
    return sorted(open_store(store).search_runs(), key=lambda run: run.run_name)


def experiment_number(store: Path, runs: list[RunRecord]) -> str:
    """The number in the addresses of an experiment's pages."""
    found = MlflowClient(open_store(store).uri).get_experiment_by_name(runs[0].experiment)
    assert found is not None
    return str(found.experiment_id)


def saved_with_outputs(path: Path) -> Any:
    """A notebook, once its editor has written what the last cell showed."""
    until = time.monotonic() + A_WHILE_MS / 1000
    while True:
        notebook = nbformat.read(path, as_version=4)
        if [cell for cell in notebook.cells if cell.cell_type == "code"][-1].outputs:
            return notebook
        assert time.monotonic() < until, "the notebook was not saved"
        time.sleep(1)


def test_jupyterlab_opens_the_notebook_runs_all_cells_and_shows_the_plots(
    page: Page, keep: Path, tmp_path: Path
) -> None:
    (tmp_path / "notebooks").mkdir()
    notebook = nbformat.read(REPOSITORY / "notebooks" / f"{NOTEBOOK}.ipynb", as_version=4)
    [cell] = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ())]
    cell.source += "".join(f"\n{name} = {value!r}" for name, value in TINY.items())
    nbformat.write(notebook, tmp_path / "notebooks" / f"{NOTEBOOK}.ipynb")
    port = free_port()
    command = [
        *(sys.executable, "-m", "jupyter", "lab", "notebooks", "--no-browser", "--allow-root", f"--port={port}"),
        "--IdentityProvider.token=only-this-test",
    ]
    with serving(command, tmp_path, f"http://127.0.0.1:{port}/api"):
        page.goto(f"http://127.0.0.1:{port}/lab/tree/{NOTEBOOK}.ipynb?token=only-this-test")
        page.locator(".jp-RenderedMarkdown h1", has_text="Train an agent").first.wait_for()
        page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").first.wait_for()
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.locator(".lm-Menu-itemLabel", has_text=re.compile("^Run All Cells$")).click()
        # the table of all runs comes last: with it, every cell has been run
        last = page.locator(".jp-CodeCell").last.locator(".jp-OutputArea-output table")
        last.wait_for(state="attached", timeout=5 * A_WHILE_MS)
        page.screenshot(path=keep / "jupyterlab-end.png")
        plots = page.locator(".jp-RenderedImage img")
        for number in range(expected_plots := 3):
            plots.nth(number).scroll_into_view_if_needed()
            expect(plots.nth(number)).to_be_in_viewport(ratio=0.9)  # whole, beside the list of files
            assert plots.nth(number).evaluate("image => image.naturalWidth") > 600, "a picture came without its content"
            page.screenshot(path=keep / f"jupyterlab-plot{number}.png")
        page.keyboard.press("Control+s")
        made = saved_with_outputs(tmp_path / "notebooks" / f"{NOTEBOOK}.ipynb")
    outputs = [output for cell in made.cells for output in cell.get("outputs", ())]
    assert not [output for output in outputs if output.output_type == "error"]
    assert len([output for output in outputs if "image/png" in output.get("data", {})]) == expected_plots
    [run] = open_store(tmp_path / "mlruns").search_runs()
    assert run.metrics["service_blocking"] > 0


def test_the_runs_are_listed_with_what_they_learned_from(
    page: Page, keep: Path, address: str, store: Path, runs: list[RunRecord]
) -> None:
    page.goto(f"{address}/#/experiments/{experiment_number(store, runs)}/runs?workflowType=machine_learning")
    page.get_by_role("button", name="Close").first.click()  # MLflow's assistant, once
    for run in runs:
        expect(page.get_by_role("link", name=run.run_name).first).to_be_visible()
    expect(page.get_by_text("deeprmsa (").first).to_be_visible()
    page.screenshot(path=keep / "runs.png")


def test_the_view_shows_what_they_block_least_first_as_a_table_and_as_charts(
    page: Page, keep: Path, address: str, store: Path, runs: list[RunRecord]
) -> None:
    page.goto(f"{address}/#/experiments/{experiment_number(store, runs)}/runs?workflowType=machine_learning")
    page.get_by_role("button", name="Views").click()
    page.get_by_role("menuitem", name=views.NAME).first.click()
    least_first = sorted(run.metrics["service_blocking"] for run in runs)
    cells = page.locator("[role=gridcell][col-id='metrics.`service_blocking`']")
    expect(cells.first).to_contain_text(f"{least_first[0]:g}")
    assert [float(text) for text in cells.all_inner_texts()] == least_first
    names = page.locator("[role=gridcell] a", has_text="maskable-ppo")
    assert all(name.evaluate("link => link.scrollWidth <= link.parentElement.clientWidth") for name in names.all())
    page.screenshot(path=keep / "view-table.png")
    page.locator("label:has(input[value=CHART])").first.click()
    expect(page.get_by_role("heading", name="Parallel Coordinates")).to_be_visible()
    expect(page.get_by_role("heading", name="service_blocking", exact=True)).to_be_visible()
    expect(page.locator(".js-plotly-plot .barlayer path").first).to_be_visible()
    expect(page.locator(".parcoords .dimension")).to_have_count(3)  # two settings and blocking
    page.screenshot(path=keep / "view-charts.png")


def test_charts_begin_with_blocking(page: Page, keep: Path, address: str, store: Path, runs: list[RunRecord]) -> None:
    page.goto(f"{address}/#/experiments/{experiment_number(store, runs)}/runs?compareRunsMode=CHART")
    first = page.get_by_role("heading", level=4).first
    expect(first).to_have_text("agent/service_blocking/deeprmsa")
    expect(page.locator(".js-plotly-plot").first.locator(".scatterlayer .js-line").first).to_be_visible()
    for run in runs:  # how each seed learned, by its name
        expect(page.get_by_text(f"{run.run_name} (agent/service_blocking").first).to_be_visible()
    page.screenshot(path=keep / "charts.png")


def test_two_runs_are_compared_by_what_they_block(
    page: Page, keep: Path, address: str, store: Path, runs: list[RunRecord]
) -> None:
    number = experiment_number(store, runs)
    ids = json.dumps([run.run_id for run in runs])
    page.goto(f'{address}/#/compare-runs?runs={ids}&experiments=["{number}"]')
    expect(page.get_by_text("Comparing 2 Runs from 1 Experiment")).to_be_visible()
    axes = page.locator(".parcoords .axis-title, .parcoords .axis-heading")
    expect(axes.get_by_text("execution.seed").first).to_be_visible()  # all that differs
    expect(axes.get_by_text("service_blocking").first).to_be_visible()
    page.screenshot(path=keep / "compare.png")


def test_a_run_describes_itself_and_shows_its_notebook(
    page: Page, keep: Path, address: str, store: Path, runs: list[RunRecord]
) -> None:
    page.goto(f"{address}/#/experiments/{experiment_number(store, runs)}/runs/{runs[0].run_id}")
    page.get_by_text("Show more").first.click()
    expect(page.locator("td", has_text="ksp-ff").first).to_be_visible()
    page.screenshot(path=keep / "run.png")
    page.get_by_role("tab", name="Artifacts").click()
    page.get_by_text("notebook", exact=True).click()
    page.get_by_text("seed1.html").click()
    shown = page.frame_locator("iframe")
    expect(shown.get_by_text("Train an agent and compare it with the heuristics").first).to_be_visible()
    plot = shown.locator("img").first
    plot.scroll_into_view_if_needed()
    assert plot.evaluate("image => image.naturalWidth") > 600, "the plot is not in the page"
    page.screenshot(path=keep / "notebook.png")


def test_the_model_page_says_what_it_takes_and_what_it_blocks(
    page: Page, keep: Path, address: str, store: Path, runs: list[RunRecord]
) -> None:
    [model] = open_store(store).registered_models()
    page.goto(f"{address}/#/models/{model.name}")
    expect(page.get_by_text("maskable-ppo is worse than").first).to_be_visible()  # after so few steps
    page.screenshot(path=keep / "models.png")
    page.get_by_role("link", name="Version 1").click()
    expect(page.get_by_text("service_blocking").first).to_be_visible()
    expect(page.locator("td", has_text="ksp-ff").first).to_be_visible()
    expect(page.get_by_text(re.compile(r"Inputs \(1\)")).first).to_be_visible()
    page.screenshot(path=keep / "model.png")
