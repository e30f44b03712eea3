"""What the person reads, as plain lines: notice, prompts and result. Pure; it never asks, waits or prints.

The notice answers, before the camera opens: who asks, why, what is measured, what leaves the box, who
gets and who processes it, where, in which regions and how long it is kept, under which law, how to have it
erased, and what happens to those who decline (fields after ISO/IEC TS 27560).
"""

from __future__ import annotations

from vouchbox.messages import (
    Action,
    ConsentAsked,
    Level,
    Outcome,
    Progress,
    Prompt,
    ReceiptIssued,
    SessionEnded,
    TemplateReaders,
)
from vouchbox.reasons import SENTENCES

PROMPTS: dict[Prompt, str] = {
    Prompt.TURN_LEFT: "Turn your head to your left",
    Prompt.TURN_RIGHT: "Turn your head to your right",
    Prompt.LOOK_UP: "Raise your head and look up",
    Prompt.LOOK_DOWN: "Lower your head and look down",
    Prompt.BLINK: "Close both eyes and open them again",
    Prompt.MOVE_CLOSER: "Come a little closer",
    Prompt.MOVE_BACK: "Move back a little",
}

OUTCOMES: dict[Outcome, str] = {
    Outcome.LIVE: "Done. A live person was seen.",
    Outcome.MATCH: "Done. You are the person who enrolled.",
    Outcome.NO_MATCH: "You are not the person who enrolled here.",
    Outcome.DECLINED: "No check was made.",
    Outcome.CANCELLED: "Stopped.",
    Outcome.INCONCLUSIVE: "No result this time.",
    Outcome.ATTACK_SUSPECTED: "The box could not see a live person.",
    Outcome.REFUSED: "The request was refused.",
}

READERS = {
    TemplateReaders.NOBODY: "none is made",
    TemplateReaders.PARTY: "who asks, with its own key",
    TemplateReaders.FLEET: "only boxes of this fleet; who asks keeps it locked",
}
"""Who can open the sealed template, in the person's words."""

_ACTIONS = {
    Action.CHECK: "check that a live person is here",
    Action.ENROLL: "check that a live person is here and remember the face as a sealed template",
    Action.MATCH: "check that a live person is here and compare with the template stored before",
}


def notice_lines(asked: ConsentAsked) -> list[tuple[str, str]]:
    """The notice as (label, text) pairs, in the order a person asks."""
    notice = asked.notice
    steps = "five to eight seconds of video, with prompts to follow"
    if asked.level is Level.PASSIVE:
        steps = "about five seconds of video, without prompts"
    return [
        ("Who asks", f"{notice.controller}, {notice.address}"),
        ("Contact", notice.contact),
        ("What for", notice.purpose),
        ("What happens", f"{_ACTIONS[asked.action]}: {steps}"),
        ("What is measured", notice.measured),
        ("Kinds of data", "; ".join(notice.pii_types)),
        ("What leaves the box", notice.leaves_the_box),
        ("Who can open a template", READERS[notice.template_readers]),
        ("Who receives it", "; ".join(notice.recipients)),
        ("Who processes it", "; ".join(notice.processors)),
        ("Where it is kept", f"{notice.storage_location} ({', '.join(notice.regions)})"),
        ("How long", f"{notice.retention}; your yes counts for {notice.validity_days} days"),
        ("Under which law", f"{notice.jurisdiction}; {notice.lawful_basis}"),
        ("Other uses", notice.other_uses),
        ("How to erase it", notice.withdrawal),
        ("Policy", notice.policy),
        ("If you decline", notice.alternative),
    ]


def progress_line(progress: Progress) -> str:
    """One line while capturing: what to do now, and how far we are."""
    if progress.hint is not None:
        text = SENTENCES[progress.hint]
    elif progress.prompt is not None:
        text = PROMPTS[progress.prompt]
    else:
        text = "Look at the camera"
    return f"{text} ({round(100 * progress.fraction)} %)"


def result_lines(ended: SessionEnded) -> list[str]:
    """The result in plain words, each reason with what to change, and the alternative if there is one."""
    lines = [OUTCOMES[ended.outcome]]
    lines += [SENTENCES[reason] for reason in ended.reasons]
    if ended.alternative:
        lines.append(f"Instead: {ended.alternative}")
    return lines


def receipt_lines(issued: ReceiptIssued) -> list[str]:
    """The receipt for who has no phone at hand: its id, and the code that withdraws the consent."""
    lines = [f"Receipt: {issued.receipt}"]
    return [*lines, f"To withdraw: {issued.code}"] if issued.code else lines
