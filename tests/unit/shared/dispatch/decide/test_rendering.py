"""Messages that cannot be rendered fail; but of whom an account is asked first, nobody says that."""

from shared.model.content import EmailContent
from tests.samples import NOW, envelope, recipients
from tests.unit.shared.dispatch.harness import harness

BOMB = EmailContent(subject="s", text="{% for a in l %}{% for b in l %}{{ a ~ b }}{% endfor %}{% endfor %}{{ name }}")


def test_who_is_asked_about_never_failed_for_a_template_that_cannot_be_rendered() -> None:
    """An earlier try may have come through, whatever the template is worth by now."""
    with harness() as w:
        w.add_template(BOMB)
        one = envelope(
            2, recipients=recipients(2, l=["x"] * 200), ask_account={0: "main"}, tried_between=(NOW - 9, NOW)
        )
        w.run(one)
        ends = {e.index: (e.stage, e.reason) for r in w.records for e in r.events if e.stage != "accepted"}
    assert ends == {0: ("unknown", "rendering_failed"), 1: ("failed", "rendering_failed")}
