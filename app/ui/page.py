"""The page at /: header, tabs, theme. Gradio carries events and charts; the markup is assets/*.html, one style sheet.

Leaves out what each tab shows (the *_tab.py files) and what a person may do (app/labelling.py and its neighbours).
"""

from typing import TYPE_CHECKING

import gradio as gr
from fastapi import FastAPI

from app.ui.actions import bind
from app.ui.chat_tab import ChatTab
from app.ui.data_tab import DataTab
from app.ui.html import asset, render
from app.ui.label_tab import LabelTab
from app.ui.overview_tab import OverviewTab
from app.ui.settings_tab import SettingsTab
from app.ui.train_tab import TrainTab
from app.ui.uploads import UploadsOnly
from app.ui.win_rates_tab import WinRatesTab

if TYPE_CHECKING:
    from app.main import Application

PAGES = (
    ("overview", "Overview"),
    ("label", "Label"),
    ("chat", "Chat"),
    ("train", "Train"),
    ("win-rates", "Win rates"),
    ("data", "Data"),
    ("settings", "Settings"),
)
KEYS = (
    ("1", "A is better (also ←)"),
    ("2", "B is better (also →)"),
    ("3", "Tie"),
    ("4", "Both are bad"),
    ("S", "Skip"),
    ("Shift", "held with 1 or 2: clearly better"),
    ("U", "Undo the last choice"),
    ("R", "Add a reason to the next choice"),
    ("?", "These keys"),
)
TABS = (OverviewTab, LabelTab, ChatTab, TrainTab, WinRatesTab, DataTab, SettingsTab)


def mount_page(app: FastAPI, application: "Application") -> FastAPI:
    """Mount the page at /, after every other route of `app`."""
    mounted: FastAPI = gr.mount_gradio_app(
        app,
        build_blocks(application),
        path="/",
        theme=gr.themes.Base(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]),
        css=asset("style.css"),
        head=f"<script>{asset('keys.js')}</script>",
        ssr_mode=False,
        run_history=False,
        footer_links=[],
        show_error=False,
        max_file_size=application.settings.upload_limit_mb * 2**20,
    )
    return mounted


def build_blocks(application: "Application") -> gr.Blocks:
    """Every component and event of the page."""
    with UploadsOnly(title="PrefLoop", analytics_enabled=False, fill_width=True) as blocks:
        with gr.Row(elem_id="header"):
            gr.HTML(render("header.html", pages=PAGES, keys=KEYS), elem_id="top", apply_default_css=False)
            pill = gr.HTML(elem_id="pill", apply_default_css=False)
            bind("refresh-header", lambda payload, request: _pill(application), [pill])
        for tab in TABS:
            tab(application).build()
    blocks.queue(default_concurrency_limit=16, api_open=False)
    return blocks


def _pill(application: "Application") -> str:
    """What is served, since when, and what trains."""
    serving = application.promotion.serving() if application.ready else None
    active = application.runs.active() if application.ready else None
    return render(
        "pill.html",
        name=serving.checkpoint.name if serving else None,
        since=serving.deployment.created_at if serving else None,
        training=active.run.id if active else None,
    )
