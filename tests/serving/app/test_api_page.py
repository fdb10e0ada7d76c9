"""The page in a real browser: a real upload, searching on, filters, keyboard, phone, dark, hostile names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from driven_browser import BROWSER, BROWSERS, DrivenBrowser

from simtrain.serving.bundle_writer import BundleContent, write_bundle
from simtrain.serving.onnx_export import ONNX, onnx_available

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not onnx_available(), reason="needs the extra 'export'"),
    pytest.mark.skipif(BROWSER is None, reason=f"no browser here: none of {', '.join(BROWSERS)} is on the PATH"),
]

CARDS = "document.querySelectorAll('.card')"
IDS = f"[...{CARDS}].map(card => card.dataset.id)"
STATUS = "document.getElementById('status').textContent"
HOSTILE = "<img src=x onerror=\"document.title='hacked'\"><script>document.title='hacked'</script>"


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[DrivenBrowser]:
    with DrivenBrowser(tmp_path / "profile", "--window-size=1200,900") as opened:
        yield opened


@pytest.fixture
def url(onnx_folder: Path, serve_process: Callable[..., Any]) -> str:
    return str(serve_process(onnx_folder).url)


def open_page(browser: DrivenBrowser, url: str) -> None:
    browser.open(url)
    browser.wait("document.querySelectorAll('#filters select').length > 1")


def test_an_upload_is_searched_and_a_result_is_searched_on(browser: DrivenBrowser, url: str, shop: Any) -> None:
    open_page(browser, url)
    browser.upload("#file", shop.root / "11.png")
    browser.wait(f"{CARDS}.length === 12")
    assert browser.value(IDS)[0] == "p11"
    assert browser.value("document.querySelector('h3').textContent") == "From 0.900: at least 95 % right (same label)"
    assert browser.value(f"{CARDS}[0].getAttribute('aria-label')") == (
        "a red one, item p11: similarity 1.000, at least 95 % right. Search on with it"
    )
    browser.wait(f"{CARDS}[0].querySelector('img').naturalWidth > 0")
    second = browser.value(IDS)[1]
    browser.value(f"{CARDS}[1].click()")
    browser.wait(f"location.search.includes('id={second}') && {STATUS} === '12 items, nearest first'")
    assert second not in browser.value(IDS)
    assert browser.value("document.activeElement.id") == "results"
    browser.value("history.back()")
    browser.wait(f"{CARDS}.length === 0 && {STATUS} === 'Choose an image to begin.'")
    assert browser.console == []
    assert browser.requested
    assert all(address.startswith((url, "blob:", "data:")) for address in browser.requested)


def test_filters_and_thresholds_narrow(browser: DrivenBrowser, url: str, shop: Any) -> None:
    open_page(browser, f"{url}?id=p11&k=48&filter=label%3Dlamp")
    browser.wait(f"{CARDS}.length > 0")
    lamps = set(shop.items["id"][shop.items["label"] == "lamp"])
    assert set(browser.value(IDS)) == lamps
    assert browser.value("document.querySelector('select[data-column=label]').value") == "lamp"
    browser.value("globalThis.price = document.querySelector('input[data-sign=\">=\"]')")
    browser.value("price.value = 30; price.dispatchEvent(new Event('change', { bubbles: true }))")
    dear = set(shop.items["id"][(shop.items["label"] == "lamp") & (shop.items["price"] >= 30)])
    browser.wait(f"{CARDS}.length === {len(dear)}")
    assert set(browser.value(IDS)) == dear
    assert browser.value("document.getElementById('active').textContent") == "(2)"


def test_it_works_by_keyboard(browser: DrivenBrowser, url: str) -> None:
    open_page(browser, f"{url}?id=p11")
    browser.wait(f"{CARDS}.length === 12")
    browser.value("document.querySelector('.skip').focus()")
    browser.press("Enter", code=13, text="\r")
    browser.wait("document.activeElement.id === 'results'")
    browser.press("Tab", code=9)
    first = browser.value("document.activeElement.dataset.id")
    assert first == browser.value(IDS)[0]
    browser.press("Enter", code=13, text="\r")
    browser.wait(f"location.search.includes('id={first}') && {STATUS} === '12 items, nearest first'")
    assert len([address for address in browser.requested if "/api/search?" in address]) == 2


def test_every_control_has_a_name(browser: DrivenBrowser, url: str) -> None:
    open_page(browser, f"{url}?id=p11")
    browser.wait(f"{CARDS}.length === 12")
    browser.value("document.getElementById('narrow').open = true")
    browser.call("Accessibility.enable")
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
    controls = ("button", "combobox", "textbox", "searchbox", "spinbutton", "slider", "link", "Canvas")
    named = [node.get("name", {}).get("value", "") for node in nodes if node.get("role", {}).get("value") in controls]
    assert len(named) > 18
    assert all(named)
    roles = {node.get("role", {}).get("value") for node in nodes}
    assert {"main", "search", "status", "heading", "list", "banner"} <= roles


def test_phone_and_dark(browser: DrivenBrowser, url: str) -> None:
    browser.resize(360, 740)
    open_page(browser, f"{url}?id=p11")
    browser.wait(f"{CARDS}.length === 12")
    assert browser.value("document.documentElement.scrollWidth") == 360
    assert (
        browser.value(f"Math.round({CARDS}[1].getBoundingClientRect().top - {CARDS}[0].getBoundingClientRect().top)")
        == 0
    )
    assert browser.value(f"Math.min(...[...{CARDS}].map(card => card.getBoundingClientRect().height))") > 44
    ground = "getComputedStyle(document.body).backgroundColor"
    light = browser.value(ground)
    browser.dark(True)
    assert [light, browser.value(ground)] == ["rgb(246, 247, 248)", "rgb(17, 20, 24)"]


def test_hostile_names_are_spelt_and_not_obeyed(
    browser: DrivenBrowser, serve_process: Callable[..., Any], content: BundleContent, tmp_path: Path
) -> None:
    items = content.items.copy()
    items["caption"] = HOSTILE
    items["id"] = [f"{HOSTILE}&k=99#{number}" for number in range(len(items))]
    items["label"] = [HOSTILE, "other"] * (len(items) // 2)
    folder = write_bundle(replace(content, items=items.sort_values("id")), tmp_path / "hostile", formats=[ONNX])
    open_page(browser, serve_process(folder).url)
    browser.upload("#file", content.root / "11.png")
    browser.wait(f"{CARDS}.length === 12")
    browser.wait(f"{CARDS}[0].querySelector('img').naturalWidth > 0")
    browser.value(f"{CARDS}[1].click()")
    browser.wait(f"location.search.includes('id=') && {STATUS} === '12 items, nearest first'")
    assert browser.value("document.title") == "Similar products"
    assert browser.value("document.querySelector('.name').textContent") == HOSTILE
    assert browser.value("document.querySelectorAll('#bands script').length") == 0
    assert browser.console == []


def test_a_refused_upload_is_told(browser: DrivenBrowser, url: str, tmp_path: Path) -> None:
    open_page(browser, url)
    (tmp_path / "drawing.png").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    browser.upload("#file", tmp_path / "drawing.png")
    told = browser.wait(f"{STATUS}.startsWith('Not found') && {STATUS}")
    assert told.startswith(
        "Not found: image: not a picture that is read here; allowed: JPEG, PNG, WebP, GIF, BMP, AVIF"
    )
