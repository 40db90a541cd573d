"""WeasyPrint makes a page: it needs system libraries (Pango, HarfBuzz) that pip does not bring."""

from __future__ import annotations

from cxrbatch.doctor.outcome import Outcome, Subject, ok, problem

ADVICE = (
    "On Debian or Ubuntu: apt-get install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0. "
    "Until then: --reports html."
)


def check(subject: Subject) -> Outcome:
    """A PDF of one page."""
    try:
        import weasyprint
    except OSError as error:
        first = (str(error).strip().splitlines() or ["no reason given"])[0]
        return problem(f"WeasyPrint cannot load a system library: {first}", ADVICE)
    document = weasyprint.HTML(string="<p>ΑΒΓ АБВ 漢字 ABC</p>").render()
    if not document.write_pdf().startswith(b"%PDF-") or len(document.pages) != 1:
        return problem("WeasyPrint does not make a PDF of one page", ADVICE)
    return ok(f"WeasyPrint {weasyprint.__version__} makes pages")
