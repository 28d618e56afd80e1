"""What a person does in a room, and which part of it takes that up.  No toolkit."""

from __future__ import annotations

from typing import assert_never

from gui import events
from gui.events import Sheet
from gui.pages import View
from gui.room_controller import RoomController


def act(room: RoomController, view: View, event: events.InsideAct) -> None:
    """Do what was asked for on the page of a room, or on a sheet over it."""
    match event:
        case events.Send():
            room.say(event.text)
        case events.Answer():
            room.writing.answer(event.mid)
        case events.OpenSteady():
            room.show_steady()
        case events.SetSteady():
            room.steady.set(event.period_s)
            view.close_sheet(Sheet.STEADY)
            room.sheet_closed(Sheet.STEADY)
        case events.OpenMove():
            room.show_move()
        case events.MoveRoom():
            room.move.go(event.line)
        case events.OpenInvite():
            room.show_invite()
        case events.CopyInvite():
            room.copy_invite(event.clear)
        case events.ShowKnock():
            room.knocks.show(event.fp)
        case events.LetIn():
            room.answer_knock(event.fp, let_in=True)
        case events.TurnAway():
            room.answer_knock(event.fp, let_in=False)
        case events.ShowReaders():
            room.readers.show(event.mid)
        case events.TakeBack():
            room.take_back(event.mid)
        case events.ShowSealed():
            room.readers.unfold(event.mid, event.hide)
        case events.OpenWords() | events.TickWords() | events.WordsSame() | events.WordsDiffer() | events.SettleKey():
            room.trust.act(event)
        case events.OpenReport() | events.TickNames() | events.SaveReport():
            room.trial.act(event)
        case events.DismissBanner():
            room.dismiss(event.key)
        case events.TogglePeople():
            room.toggle_people()
        case _:
            assert_never(event)
