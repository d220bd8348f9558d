"""Plans and charts as JupyterLab shows them by itself, in both themes."""

from __future__ import annotations

from tests.fixtures_browser import Front, Lab

CELLS = [
    "create table t as select i as id, i % 7 as part, date '2024-01-01' + i % 90 as day\n"
    "from generate_series(1, 20000) i",
    "select part, count(*) from t where day::text like '2024-01%' group by part order by 2\n"
    "\\explain analyze buffers",
    "select part, count(*) as n, min(id) as first from t group by part order by part\n"
    "\\chart bar x=part y=n title='Parts'",
    'select 7 as image, 3 as "a\\""+(document.title=\'x\')+""" \\chart point',
]
#: Whether the ground of the first chart is dark.
_GROUND = """dark => {
  const drawn = document.querySelector('.vega-embed canvas');
  const [red] = drawn?.getContext('2d').getImageData(2, 2, 1, 1).data ?? [];
  return red !== undefined && red < 128 === dark;
}"""


def test_a_plan_and_charts(front: Front, lab: Lab) -> None:
    front.open(lab.notebook("showing.ipynb", CELLS))
    front.command("notebook:run-all-cells")
    for number in range(1, 5):
        front.wait_ran(number)
    plan = front.cell(2).locator(".jp-OutputArea-output table")
    assert "Seq Scan on t" in plan.inner_text()
    assert front.cell(2).locator("details").count() == 2
    for number in (3, 4):
        front.cell(number).locator(".vega-embed canvas, .vega-embed svg").first.wait_for()
    point = front.cell(4).locator(".vega-embed canvas, .vega-embed svg").first
    point.hover()
    plan.scroll_into_view_if_needed()
    front.picture("plan")
    front.cell(3).locator(".vega-embed").scroll_into_view_if_needed()
    front.picture("chart")
    for dark in (True, False):
        front.dark(dark)
        front.page.wait_for_function(_GROUND, arg=dark)
