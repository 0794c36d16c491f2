"""Write the tables of results in README.md and docs/results.md from reports/: python scripts/readme_tables.py."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
TARGET, BOTH = "interactdiffusion", "interactdiffusion+migc"
METHODS = {
    TARGET: "InteractDiffusion",
    BOTH: "InteractDiffusion(+MIGC), authors' semantics",
    "migc": "MIGC",
    "ceiling": "*ceiling: true renderings under the same judge*",
}
CONTROLS = {
    BOTH: "authors' semantics (separate noise, window 1…3, their mean)",
    f"{BOTH}@shared": "the same with one shared noise",
    f"{BOTH}@paper": "the paper's letter (shared noise, window 0…2, DDIM mean)",
    f"{BOTH}@paper-eta-0": "the letter with η = 0",
    f"{BOTH}@paper-eta-0.1": "the letter with η/√dim = 0.1",
    f"{BOTH}@paper-eta-0.2-0.25": "the letter with η/√dim = 0.2 and 0.25",
    f"{BOTH}@paper-separate": "the letter with separate noise",
    "interactdiffusion+itself": "the target aggregated with itself (null control)",
    "switch": "`switch`: MIGC for 3 steps, then InteractDiffusion",
    "slerp": "`slerp`: norm-preserving mix of shared noise, no pull-back",
    "interactdiffusion-category": "InteractDiffusion with category-only phrases",
    "migc": "MIGC alone",
}
COMBINED = {
    "stable_diffusion@combined": "base: caption alone",
    "interactdiffusion@combined": "InteractDiffusion",
    "migc@combined": "MIGC",
    "ip-adapter@combined": "IP-Adapter",
    "interactdiffusion+migc@combined": "InteractDiffusion(+MIGC), authors' semantics",
    "interactdiffusion+migc@combined-paper": "InteractDiffusion(+MIGC), the paper's letter",
    "interactdiffusion+ip-adapter": "InteractDiffusion(+IP-Adapter), authors' semantics",
    "interactdiffusion+ip-adapter@paper": "InteractDiffusion(+IP-Adapter), the paper's letter",
    "interactdiffusion+migc+ip-adapter": "InteractDiffusion(+MIGC+IP-Adapter), authors' semantics",
    "interactdiffusion+migc+ip-adapter@paper": "InteractDiffusion(+MIGC+IP-Adapter), the paper's letter",
    "interactdiffusion@tuned": "InteractDiffusion, tuned",
    "migc@tuned": "MIGC, tuned",
    "ip-adapter@tuned": "IP-Adapter, tuned",
    "interactdiffusion+migc@tuned": "InteractDiffusion(+MIGC), tuned",
    "interactdiffusion+ip-adapter@tuned": "InteractDiffusion(+IP-Adapter), tuned",
    "interactdiffusion+migc+ip-adapter@tuned": "InteractDiffusion(+MIGC+IP-Adapter), tuned",
    "interactdiffusion+itself@combined": "InteractDiffusion with itself (null control)",
    "mixed-then-target@combined": "MIGC and IP-Adapter mixed for 3 steps, then InteractDiffusion",
    "slerp@combined": "`slerp` of all three, no pull-back",
    "migc+interactdiffusion@combined": "MIGC(+InteractDiffusion)",
    "ip-adapter+interactdiffusion@combined": "IP-Adapter(+InteractDiffusion)",
    "ip-adapter+migc+interactdiffusion@combined": "IP-Adapter(+MIGC+InteractDiffusion)",
    "ceiling": "*ceiling: true renderings under the same judges*",
}
CLAIM = (
    *("interactdiffusion@combined", "migc@combined", "ip-adapter@combined", "interactdiffusion+migc@combined"),
    *("interactdiffusion+ip-adapter", "interactdiffusion+migc+ip-adapter", "interactdiffusion+migc@tuned", "ceiling"),
)
COMPOSED = {
    "interactdiffusion": "InteractDiffusion",
    "migc": "MIGC",
    "ip-adapter": "IP-Adapter",
    "the target with itself": "`official` with three times InteractDiffusion",
    "converse": "`official` with the models in the opposite order",
    "interactdiffusion+migc+ip-adapter as published": "`official` as published",
    "interactdiffusion+migc+ip-adapter@paper as published": "`paper` as published",
    "ceiling": "*ceiling: true renderings under the same judges*",
}
"""Rows of compositions that are not called by the name of one."""
GROUPS = ("T + 4", "1.5 T", "2 T")
"""Of evaluations, that were measured."""
RUNS = {
    "mini-seeds": "SEEDS=0,1,2 LIMIT=200 OUT=runs/mini-seeds",
    "mini-hard": "LAYOUTS=mini-hard LIMIT=200 OUT=runs/mini-hard",
    "coco-mig-as-shapes": "LAYOUTS=coco-mig-amdm-as-shapes LIMIT=200 OUT=runs/coco-mig-as-shapes",
}


def main() -> None:
    """Rewrite both pages and say whether they changed."""
    for name, tables in PAGES.items():
        path = ROOT / name
        before = path.read_text(encoding="utf-8")
        after = filled(before, tables)
        path.write_text(after, encoding="utf-8")
        print(f"{name} is as the reports say" if after == before else f"{name} was changed")


def filled(text: str, tables: tuple[Callable[[], list[str]], ...]) -> str:
    """A page with its tables made again: each is known by its first heading, whose number of layouts may change."""
    for table in (make() for make in tables):
        begin = re.search(r"^\|" + re.sub(r"\d+", r"\\d+", re.escape(table[0].split("|")[1])), text, re.MULTILINE)
        assert begin, f"no table begins with {table[0]}"
        end = text.index("\n\n", begin.start())
        text = text[: begin.start()] + "\n".join(table) + text[end:]
    return text


def results_table() -> list[str]:
    """The main run's methods."""
    found, rows = _results("mini"), []
    for method, label in METHODS.items():
        one = found[method]
        value, low, high = (f"{100 * number:.1f}" for number in one["isr"])
        others = [f"{100 * one[metric][0]:.1f}" for metric in ("miou", "place", "colour_given_place")]
        rows.append([label, f"{value} ({low}–{high})", *others])
    return _table([f"method, {_layouts('mini')} layouts", "ISR", "mIoU", "place", "colour given place"], rows)


def controls_table() -> list[str]:
    """Gains over the target, with the distance and the length of each model's pull-back."""
    gains, pulled, rows = _gains("controls"), _pulled(), []
    for method in gains:
        assert method in CONTROLS, f"{method} has no label here"
    for method, label in CONTROLS.items():
        if method in gains:
            rows.append([label, gains[method], *pulled.get(method, ("–", "–"))])
    heading = [
        f"control, {_layouts('controls')} layouts: ISR less InteractDiffusion's",
        "points",
        "‖x′−μ‖/√dim",
        "η/√dim",
    ]
    return _table(heading, rows)


def runs_table() -> list[str]:
    """Other seeds and other boxes."""
    rows = []
    for report, options in RUNS.items():
        target, both, alone = (_mean(report, method) for method in (TARGET, BOTH, "migc"))
        ceiling = f"{100 * _results(report)['ceiling']['isr'][0]:.1f}"
        name = f"`{options}` ([table](../reports/{report}/table1.md))"
        rows.append([name, target, both, _gains(report)[BOTH], alone, ceiling])
    return _table(
        ["`make bench-migc …`", "InteractDiffusion", "(+MIGC)", "gain, paired", "MIGC", "*ceiling*"],
        rows,
    )


def claim_table() -> list[str]:
    """The single models, their aggregates and the ceiling in the combined world."""
    return _combined("combined world", [name for name in COMBINED if name in CLAIM], "combined-seeds")


def combined_table() -> list[str]:
    """What is right together, of single models, aggregates and controls."""
    return _combined("of the combined world", list(COMBINED))


def second_training_table() -> list[str]:
    """The same with mini models of another training."""
    return _combined("of the second training", list(COMBINED), "combined-second")


def _combined(about: str, methods: list[str], report: str = "combined") -> list[str]:
    found = pd.read_csv(ROOT / "reports" / report / "joint.csv").set_index("method")
    columns = ["place", "colour given place", "action given place", "style"]
    rows = []
    for method in (one for one in found.index if one in methods):
        one = found.loc[method]
        cells = ["–" if math.isnan(one[name]) else f"{one[name]:.1f}" for name in columns]
        joint = [
            f"{one[name]:.1f} ({one[f'{name} low']:.1f}–{one[f'{name} high']:.1f})"
            for name in ("joint by interaction", "joint by picture")
        ]
        rows.append([COMBINED[method], *cells, *joint])
    layouts = int(found.n["ceiling"])  # drawn once a layout, whatever the seeds
    seeds = f", {int(found.n.iloc[0]) // layouts} seeds" if found.n.iloc[0] > layouts else ""
    heading = [f"{about}, {layouts} layouts{seeds}", *columns, "joint by interaction", "joint by picture"]
    return _table(heading, rows)


def compositions_table(group: str) -> list[str]:
    """Compositions of three models and their controls of one group, in the order of the report; in the first group the
    single models and the ceiling, too."""
    found, rows = pd.read_csv(ROOT / "reports" / "compositions" / "joint.csv"), []
    for one in found[found.group.fillna(GROUPS[0]) == group].to_dict("records"):
        name, _, rest = str(one["method"]).partition(", ")
        label = COMPOSED.get(name, f"`{name}`") + (f", {rest}" if rest.endswith("steps") else "")
        cost = "–" if math.isnan(one["evaluations"]) else f"{one['evaluations']:.0f}"
        shown = (one[column] for column in ("place", "colour given place", "action given place", "style"))
        cells = ["–" if math.isnan(value) else f"{value:.1f}" for value in shown]
        joint = [
            f"{one[metric]:.1f} ({one[f'{metric} low']:.1f}–{one[f'{metric} high']:.1f})"
            for metric in ("joint by interaction", "joint by picture")
        ]
        rows.append([label, cost, *cells, *joint, f"{one['KID']:.2f} ± {one['KID sd']:.2f}"])
    heading = ["evaluations", "place", "colour given place", "action given place", "style"]
    joined = ["joint by interaction", "joint by picture", "KID"]
    return _table([f"of three models, {group}, {int(found.n.iloc[0])} layouts", *heading, *joined], rows)


def advice_table() -> list[str]:
    """The confirming run of the advice."""
    advice = json.loads((ROOT / "reports" / "advice" / "advice.json").read_text(encoding="utf-8"))
    names = {"as advised": "MIGC(+IP-Adapter), as advised", "migc": "MIGC", "ip-adapter": "IP-Adapter"}
    names["the published setting"] = "MIGC(+IP-Adapter), the published setting"
    rows = []
    for one in advice["confirmed"]:
        cells = [f"{100 * one[name]:.1f}" for name in ("place", "colour_given_place", "style")]
        value, low, high = (f"{100 * one[f'joint_picture{end}']:.1f}" for end in ("", "_low", "_high"))
        rows.append([names[one["method"]], *cells, f"{value} ({low}–{high})", f"{one['evaluations']:.0f}"])
    heading = [f"advice, {advice['confirmed'][0]['images']} layouts", "place", "colour given place", "style"]
    return _table([*heading, "all three right", "evaluations"], rows)


def advice_of_three_table() -> list[str]:
    """The confirming run of the advice on three models."""
    advice = json.loads((ROOT / "reports" / "advice-three" / "advice.json").read_text(encoding="utf-8"))
    names = {TARGET: "InteractDiffusion", "migc": "MIGC", "ip-adapter": "IP-Adapter"}
    shown = ("place", "colour_given_place", "action_given_place", "style")
    rows = []
    for one in advice["confirmed"]:
        single = [f"{100 * one[name]:.1f}" if one[name] is not None else "–" for name in shown]
        joint = [
            f"{100 * one[name]:.1f} ({100 * one[f'{name}_low']:.1f}–{100 * one[f'{name}_high']:.1f})"
            for name in ("joint_interaction", "joint_picture")
        ]
        rows.append([names.get(one["method"], one["method"]), *single, *joint, f"{one['evaluations']:.0f}"])
    heading = [
        f"advice on three models, {advice['confirmed'][0]['images']} layouts",
        *(n.replace("_", " ") for n in shown),
    ]
    return _table([*heading, "joint by interaction", "joint by picture", "evaluations"], rows)


def ablation_table() -> list[str]:
    """The differences between the paper and the authors' code: gains in ISR over the target alone, by T."""
    return _ablation("ablation", "ISR less the target's, points")


def second_ablation_table() -> list[str]:
    """The same of the second training."""
    return _ablation("ablation-second", "ISR less the target's, second training")


def _ablation(report: str, about: str) -> list[str]:
    found = pd.read_csv(ROOT / "reports" / report / "arms.csv")
    found = found[found.section.str.startswith("differences")]
    rows: dict[str, list[str]] = {}
    for one in found.to_dict("records"):
        gain = _points(one["isr_gain"], one["isr_gain_low"], one["isr_gain_high"])
        rows.setdefault(one["arm"].partition(": ")[2], []).append(gain)
    heading = [f"T = {steps}" for steps in found["T"].unique()]
    return _table([about, *heading], [[name, *gains] for name, gains in rows.items()])


def hand_over_table() -> list[str]:
    """What the picture has when an auxiliary drew the first k steps."""
    return _hand_over("first, then InteractDiffusion", "auxiliary", "for")


def converse_table() -> list[str]:
    """What it has when InteractDiffusion drew them, and the auxiliary went on."""
    return _hand_over("InteractDiffusion first, then", "target", "after")


def _hand_over(about: str, other: str, when: str) -> list[str]:
    """other: the column of the model that is not InteractDiffusion."""
    found = pd.read_csv(ROOT / "reports" / "ablation" / "hand_over.csv")
    names = {"migc": "MIGC", "ip-adapter": "IP-Adapter"}
    shown = ["place", "colour_given_place", "action_given_place", "style", "joint_interaction"]
    rows = []
    for one in found[found[other] != TARGET].to_dict("records"):
        cells = ["–" if math.isnan(one[name]) else f"{100 * one[name]:.0f}" for name in shown]
        rows.append([f"{names[one[other]]} {when} {one['k']} steps", *cells])
    return _table([about, *(name.replace("_", " ") for name in shown)], rows)


def _layouts(report: str) -> int:
    return int(json.loads((ROOT / "reports" / report / "summary.json").read_text(encoding="utf-8"))["count"])


def _results(report: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "reports" / report / "summary.json").read_text(encoding="utf-8"))
    return dict(found["results"])


def _mean(report: str, method: str) -> str:
    """The ISR, with its deviation over seeds where there are several."""
    value = f"{100 * _results(report)[method]['isr'][0]:.1f}"
    path = ROOT / "reports" / report / "seeds.csv"
    if not path.exists():
        return value
    spread = pd.read_csv(path).set_index(["method", "level"]).loc[(method, "Avg"), "isr_std"]
    return f"{value} ± {100 * float(spread):.1f}"


def _gains(report: str) -> dict[str, str]:
    """Method → points of ISR over the target, with the interval."""
    table = pd.read_csv(ROOT / "reports" / report / "differences.csv")
    return {row["method"]: _points(row["isr"], row["isr_low"], row["isr_high"]) for row in table.to_dict("records")}


def _points(value: float, low: float, high: float) -> str:
    shown = [f"{100 * number:+.1f}" for number in (value, low, high)]
    assert not any(math.isnan(number) for number in (value, low, high))
    return f"{shown[0]} [{shown[1]}, {shown[2]}]".replace("-", "−")


def _pulled() -> dict[str, tuple[str, str]]:
    """Method → distance and η of its models, the target first."""
    path = ROOT / "reports" / "controls" / "pull_back.csv"
    if not path.exists():
        return {}
    groups = pd.read_csv(path).groupby("method", sort=False)
    return {
        str(method): (
            ", ".join(f"{number:.3f}" for number in rows["distance_to_mean"]),
            ", ".join(f"{number:.4g}" for number in rows["eta"].round(4)),
        )
        for method, rows in groups
    }


def _table(heading: list[str], rows: list[list[str]]) -> list[str]:
    lines = [f"| {' | '.join(row)} |" for row in (heading, *rows)]
    return [lines[0], "|" + "---|" * len(heading), *lines[1:]]


COMPOSITIONS = tuple(partial(compositions_table, group) for group in GROUPS)
ACTS = (ablation_table, second_ablation_table, hand_over_table, converse_table, advice_table, advice_of_three_table)
PAGES: dict[str, tuple[Callable[[], list[str]], ...]] = {
    "README.md": (results_table, claim_table, advice_table),
    "docs/results.md": (
        results_table,
        controls_table,
        runs_table,
        combined_table,
        second_training_table,
        *COMPOSITIONS,
        *ACTS,
    ),
}

if __name__ == "__main__":
    main()
