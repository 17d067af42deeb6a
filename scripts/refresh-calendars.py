#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "exchange_calendars==4.13.2",
#   "pandas_market_calendars==5.5.0",
#   "pandas>=2.2,<3",     # pandas 3 drops weekend sessions without a word (the first canary below)
#   "tzdata",
# ]
# ///
"""Writes src/calendar/calendars.toml anew from public packages and our own corrections.

    python3 -m venv venv && venv/bin/pip install exchange_calendars==4.13.2 pandas_market_calendars==5.5.0 'pandas>=2.2,<3'
    venv/bin/python scripts/refresh-calendars.py            # shows what would change, writes nothing
    venv/bin/python scripts/refresh-calendars.py --write    # writes the data and the lists in fixtures/calendar/

(or `uv run scripts/refresh-calendars.py`). Run it each December and after an operator's notice: first set `until` of
a calendar to what its operator has published, and put what the packages have wrong into calendar-overlay.toml, with
its source. Then read the diff, and run `cargo test calendar`.

The steps: export both packages' sessions, apply the overlay, compact them to local hours with exceptions by date,
read the written text back, expand it, compare with what was exported (any difference is an error), check the
canaries, show where the packages disagree.
"""

import argparse
import datetime as dt
import difflib
import sys
import tomllib
import warnings
from pathlib import Path
from zoneinfo import ZoneInfo

warnings.filterwarnings("ignore")
import exchange_calendars  # noqa: E402
import pandas  # noqa: E402
import pandas_market_calendars  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "src/calendar/calendars.toml"
LISTS = ROOT / "fixtures/calendar"
OVERLAY = Path(__file__).with_name("calendar-overlay.toml")
WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
SINCE = "2020-01-01"

HEADER = """\
# Written by scripts/refresh-calendars.py; do not edit. Corrections belong into scripts/calendar-overlay.toml.
#
# Trading hours by exchange, compiled in: local wall time and IANA zone, so that clock changes come from the time zone
# database; whole-day exceptions by date; `closed` one line a year. Outside `covered` (inclusive) nothing is known.
# Facts from exchange_calendars {ec} (Apache-2.0) and pandas_market_calendars {pmc} (MIT). "Close" is the end of
# trading as these define it; extended hours are not in it, nor are unscheduled outages.
schema = 1
generated = "{today}"
"""

# `until`: how far the operator has published, set by a person. `hours`: the template of an ordinary day, from a day on.
# `source`: the package and its name there; `witness`: the other package, for the disagreements alone.
GLOBEX = [(SINCE, ["-1d 17:00-16:00"])]
CALENDARS = {
    "XNYS": dict(tz="America/New_York", aliases=["NYSE", "NASDAQ", "XNAS", "ARCX", "BATS"], until="2028-12-31",
                 hours=[(SINCE, ["09:30-16:00"])], source=("ec", "XNYS"), witness="NYSE"),
    "XTKS": dict(tz="Asia/Tokyo", aliases=["TSE", "JPX"], until="2027-12-31",
                 hours=[(SINCE, ["09:00-11:30", "12:30-15:00"]), ("2024-11-05", ["09:00-11:30", "12:30-15:30"])],
                 source=("ec", "XTKS"), witness="JPX"),
    "XLON": dict(tz="Europe/London", aliases=["LSE"], until="2028-12-31", hours=[(SINCE, ["08:00-16:30"])],
                 source=("ec", "XLON"), witness="LSE"),
    "XHKG": dict(tz="Asia/Hong_Kong", aliases=["HKEX"], until="2027-12-31",
                 hours=[(SINCE, ["09:30-12:00", "13:00-16:00"])], source=("ec", "XHKG"), witness="HKEX"),
    "XSHG": dict(tz="Asia/Shanghai", aliases=["SSE", "XSHE"], until="2026-12-31",
                 hours=[(SINCE, ["09:30-11:30", "13:00-15:00"])], source=("ec", "XSHG"), witness="SSE"),
    "XETR": dict(tz="Europe/Berlin", aliases=["XETRA"], until="2027-12-31", hours=[(SINCE, ["09:00-17:30"])],
                 source=("ec", "XETR")),
    "XTSE": dict(tz="America/Toronto", aliases=["TSX"], until="2026-12-31", hours=[(SINCE, ["09:30-16:00"])],
                 source=("ec", "XTSE"), witness="TSX"),
    "XBOM": dict(tz="Asia/Kolkata", aliases=["BSE"], until="2026-12-31", hours=[(SINCE, ["09:15-15:30"])],
                 source=("ec", "XBOM"), witness="BSE"),
    "XNSE": dict(tz="Asia/Kolkata", aliases=["NSE"], until="2026-12-31", hours=[(SINCE, ["09:15-15:30"])],
                 source=("pmc", "NSE")),
    "CME_EQUITY": dict(tz="America/Chicago", aliases=["ES", "NQ"], until="2027-12-31",
                       hours=[(SINCE, ["-1d 17:00-15:15", "15:30-16:00"]), ("2021-06-28", ["-1d 17:00-16:00"])],
                       source=("pmc", "CME Globex Equity"), witness="CME_Equity",
                       note="Equity index futures on Globex; until June 2021 with a halt after the cash close."),
    "CME_RATES": dict(tz="America/Chicago", aliases=["ZN", "ZB"], until="2027-12-31", hours=GLOBEX,
                      source=("pmc", "CME Globex Interest Rate Products"), note="Interest rate futures on Globex."),
    "CME_FX": dict(tz="America/Chicago", aliases=["6E"], until="2027-12-31", hours=GLOBEX,
                   source=("pmc", "CMEGlobex_FX"), note="Currency futures on Globex."),
    "CME_ENERGY": dict(tz="America/Chicago", aliases=["CL", "NG"], until="2027-12-31", hours=GLOBEX,
                       source=("pmc", "CMEGlobex_EnergyAndMetals"), note="Energy and metal futures on Globex."),
    "FX": dict(tz="America/New_York", aliases=[], until="2039-12-31", hours=[(SINCE, ["-1d 17:00-17:00"])],
               note="The spot FX week. It has no operator: what closes on 25 December and 1 January, add with `extends`."),
    "24/5": dict(tz="UTC", aliases=["24x5"], until="2039-12-31", hours=[(SINCE, ["00:00-24:00"])],
                 note="Monday 00:00 to Saturday 00:00 UTC; the FX week follows New York."),
}

# (calendar, day, its segments; none: closed). Each was wrong in some release of a package.
CANARIES = [
    ("XBOM", "2024-01-20", ["09:15-15:30"]),
    ("XNYS", "2025-01-09", []),
    ("XNYS", "2024-12-24", ["09:30-13:00"]),
    ("XLON", "2023-05-08", []),
    ("XTKS", "2024-11-05", ["09:00-11:30", "12:30-15:30"]),
    ("XHKG", "2023-09-01", []),
    ("XETR", "2024-12-30", ["09:00-14:00"]),
    ("CME_EQUITY", "2024-11-29", ["-1d 17:00-12:15"]),
    ("XNSE", "2024-03-02", ["09:15-10:00", "11:30-12:30"]),
]


def days(first, last):
    day, last = dt.date.fromisoformat(first), dt.date.fromisoformat(last)
    while day <= last:
        yield day
        day += dt.timedelta(days=1)


def template(calendar, day):
    """The segments of an ordinary day; none at the weekend."""
    if day.weekday() > 4:
        return []
    return [segments for since, segments in calendar["hours"] if since <= day.isoformat()][-1]


def wall(day, instant, tz):
    local = instant.to_pydatetime().astimezone(ZoneInfo(tz))
    before = "-1d " if local.date() < day else ""
    return before + local.strftime("%H:%M")


def exported(package, name, tz, until):
    """Every session of a package's calendar: day -> segments in local time."""
    if package == "ec":
        calendar = exchange_calendars.get_calendar(name, start=SINCE, end=until)
        table = calendar.schedule[["open", "close", "break_start", "break_end"]]
    else:
        table = pandas_market_calendars.get_calendar(name).schedule(SINCE, until, market_times="all")
        table = table.rename(columns={"market_open": "open", "market_close": "close"})
        table = table.reindex(columns=["open", "close", "break_start", "break_end"])
    sessions = {}
    for stamp, row in table.iterrows():
        day = stamp.date()
        edges = [row["open"], row["close"]]
        # A break that ends before it begins to matter (after an early close) is none.
        if not pandas.isna(row["break_start"]) and row["break_start"] < row["break_end"] < row["close"]:
            edges = [row["open"], row["break_start"], row["break_end"], row["close"]]
        texts = [wall(day, edge, tz) for edge in edges]
        sessions[day] = [f"{a}-{b}" for a, b in zip(texts[::2], texts[1::2])]
    return sessions


def with_halts(calendar, day, segments):
    """A source that knows an ordinary day as one span: the template tells the halts within it."""
    ordinary = template(calendar, day)
    one = f"{ordinary[0].rpartition('-')[0]}-{ordinary[-1].rpartition('-')[2]}" if ordinary else None
    return ordinary if segments == [one] else segments


def read_overlay():
    overlay = tomllib.loads(OVERLAY.read_text())
    if unknown := set(overlay) - set(CALENDARS):
        sys.exit(f"calendar-overlay.toml names {', '.join(sorted(unknown))}, which are no calendars of this script")
    return overlay


def truth(name, overlay):
    """What is shipped of one calendar, day by day, and the overlay's rows that changed nothing."""
    calendar = CALENDARS[name]
    if "source" in calendar:
        sessions = exported(*calendar["source"], calendar["tz"], calendar["until"])
        sessions = {day: with_halts(calendar, day, segments) for day, segments in sessions.items()}
    else:
        sessions = {day: template(calendar, day) for day in days(SINCE, calendar["until"]) if template(calendar, day)}
    idle = []
    for text, row in overlay.get(name, {}).items():
        day, segments = dt.date.fromisoformat(text), row.get("segments", [])
        if sessions.get(day, []) == segments:
            idle.append(f"{name} {text}: {row['why']}")
        sessions.pop(day, None)
        if segments:
            sessions[day] = segments
    return sessions, idle


def written(name, sessions, rows):
    calendar = CALENDARS[name]
    key = name if name.replace("_", "").isalnum() else f'"{name}"'
    comment = lambda day: f"  # {rows[day]['why']}: {rows[day]['source']}" if day in rows else ""
    quoted = lambda texts: "[" + ", ".join(f'"{text}"' for text in texts) + "]"
    lines = ["", f"# {calendar['note']}"] if "note" in calendar else [""]
    lines += [f"[calendar.{key}]", f'tz = "{calendar["tz"]}"', f"aliases = {quoted(calendar['aliases'])}",
              f"covered = {quoted([SINCE, calendar['until']])}", 'days = "Mon-Fri"']
    for since, segments in calendar["hours"]:
        lines += [f"[[calendar.{key}.hours]]", f'from = "{since}"', f"segments = {quoted(segments)}"]
    closed, special = {}, []
    for day in days(SINCE, calendar["until"]):
        segments, ordinary = sessions.get(day, []), template(calendar, day)
        if ordinary and not segments:
            closed.setdefault(day.year, []).append(day.isoformat())
        elif segments != ordinary:
            special.append(f"{day} = {quoted(segments)}{comment(day.isoformat())}")
    if closed:
        lines.append(f"[calendar.{key}.closed]")
    for year, dates in closed.items():
        lines += [f"# {day}: {rows[day]['why']}: {rows[day]['source']}" for day in dates if day in rows]
        lines.append(f'{year} = "{" ".join(day[5:] for day in dates)}"')
    if special:
        lines += [f"[calendar.{key}.special]", *special]
    return "\n".join(lines) + "\n"


def expanded(table):
    """The written text read back: day -> segments."""
    closed = {f"{year}-{day}" for year, line in table.get("closed", {}).items() for day in line.split()}
    sessions = {}
    for day in days(*table["covered"]):
        text = day.isoformat()
        ordinary = [h["segments"] for h in table["hours"] if h["from"] <= text][-1] if day.weekday() < 5 else []
        if segments := table.get("special", {}).get(text, [] if text in closed else ordinary):
            sessions[day] = segments
    return sessions


def utc(day, text, tz):
    before = text.startswith("-1d ")
    hour, minute = map(int, text.removeprefix("-1d ").split(":"))
    local = dt.datetime.combine(day, dt.time()) + dt.timedelta(days=-before, hours=hour, minutes=minute)
    return local.replace(tzinfo=ZoneInfo(tz)).astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def session_list(name, sessions):
    rows = ["session,open_utc,close_utc,break_start_utc,break_end_utc"]
    for day, segments in sorted(sessions.items()):
        edges = [utc(day, edge, CALENDARS[name]["tz"]) for s in segments for edge in s.rsplit("-", 1)]
        rows.append(",".join([str(day), edges[0], edges[-1], *(edges[1:3] if len(edges) == 4 else ["", ""])]))
    return "\n".join(rows) + "\n"


def disagreements(name, sessions):
    calendar = CALENDARS[name]
    if "witness" not in calendar:
        return
    other = exported("pmc", calendar["witness"], calendar["tz"], calendar["until"])
    other = {day: with_halts(calendar, day, segments) for day, segments in other.items()}
    for day in days(SINCE, calendar["until"]):
        ours, theirs = sessions.get(day, []), other.get(day, [])
        if ours != theirs:
            print(f"  {name} {day}: {' '.join(ours) or 'closed'}, but {calendar['witness']}: "
                  f"{' '.join(theirs) or 'closed'}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the data and the lists")
    parser.add_argument("--date", default=dt.date.today().isoformat(), help="the day to write as `generated`")
    arguments = parser.parse_args()
    overlay = read_overlay()
    text = HEADER.format(ec=exchange_calendars.__version__, pmc=pandas_market_calendars.__version__,
                         today=arguments.date)
    calendars, idle = {}, []
    for name in CALENDARS:
        calendars[name], unchanged = truth(name, overlay)
        idle += unchanged
        text += written(name, calendars[name], overlay.get(name, {}))

    faults = []
    for name, table in tomllib.loads(text)["calendar"].items():
        if expanded(table) != {d: s for d, s in calendars[name].items() if str(d) <= table["covered"][1]}:
            faults.append(f"{name}: what was written is not what was exported")
    for name, day, segments in CANARIES:
        found = calendars[name].get(dt.date.fromisoformat(day), [])
        if found != segments:
            faults.append(f"{name} {day}: {found or 'closed'}, must be {segments or 'closed'}")
    if faults:
        sys.exit("could not refresh the calendars:\n  " + "\n  ".join(faults))

    print("the packages disagree on:")
    for name in CALENDARS:
        disagreements(name, calendars[name])
    print("rows of the overlay that the packages agree with:", *idle or ["none"], sep="\n  ")
    print("what changes:")
    old = DATA.read_text() if DATA.exists() else ""
    print("".join(difflib.unified_diff(old.splitlines(True), text.splitlines(True), "old", "new", n=0)) or "  nothing")
    print("known until:", *(f"  {calendar['until']} {name}" for name, calendar in CALENDARS.items()), sep="\n")
    if arguments.write:
        DATA.write_text(text)
        for path in sorted(LISTS.glob("*.csv")):
            path.write_text(session_list(path.stem, calendars[path.stem]))


if __name__ == "__main__":
    main()
