package history

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/annals-go/annals/cmd/loans/application"
)

// Trace is the history of one application, as the file has it.
type Trace struct {
	// Application is its number.
	Application string
	// Amount is what was asked for, in euro.
	Amount int64
	// Events are in the order of the file: 1 to [MaxEvents].
	Events []Event
	// Line is where the trace begins in the file, from 1.
	Line int
}

// Event is one entry of a trace.
type Event struct {
	// Activity is what was done, such as A_SUBMITTED or "W_Afhandelen leads".
	Activity string
	// Step is the life-cycle step of the activity: SCHEDULE, START or COMPLETE.
	Step string
	// Employee did it; empty if the file does not say.
	Employee string
	// Time is when, in UTC.
	Time time.Time
	// Line is where the event begins in the file, from 1.
	Line int
}

// Key names what happened as the file does, such as "A_SUBMITTED/COMPLETE".
func (e Event) Key() string { return e.Activity + "/" + e.Step }

// CommandID returns the id of the command for the i-th event. It depends on
// nothing but the application's number and i: an import that was interrupted,
// or is done again, or of a copy of the file, sends the same ids. A file that
// tells another story under the same number is found out, because a command id
// belongs to one body.
func (t *Trace) CommandID(i int) string {
	return "xes-" + t.Application + "-" + strconv.Itoa(i)
}

// Command returns the command for the i-th event. The error is an
// [*ActivityError].
func (t *Trace) Command(i int) (application.Command, error) {
	e := t.Events[i]
	by := application.By{Employee: e.Employee, Time: e.Time}
	if item, ok := strings.CutPrefix(e.Activity, workPrefix); ok && item != "" {
		if work := workCommands[e.Step]; work != nil {
			return work(e.Activity, by), nil
		}
	} else if e.Key() == "A_SUBMITTED/COMPLETE" {
		return application.Submit{Amount: t.Amount, By: by}, nil
	} else if command := commands[e.Key()]; command != nil {
		return command(by), nil
	}
	return nil, &ActivityError{Application: t.Application, Line: e.Line, Key: e.Key()}
}

// workPrefix begins the name of every work item. It is part of the name: the
// bank's own names stay as they are.
const workPrefix = "W_"

var workCommands = map[string]func(item string, by application.By) application.Command{
	"SCHEDULE": func(item string, by application.By) application.Command {
		return application.ScheduleWork{Item: item, By: by}
	},
	"START": func(item string, by application.By) application.Command {
		return application.StartWork{Item: item, By: by}
	},
	"COMPLETE": func(item string, by application.By) application.Command {
		return application.CompleteWork{Item: item, By: by}
	},
}

var commands = map[string]func(application.By) application.Command{
	"A_PARTLYSUBMITTED/COMPLETE": func(by application.By) application.Command { return application.PartlySubmit{By: by} },
	"A_PREACCEPTED/COMPLETE":     func(by application.By) application.Command { return application.Preaccept{By: by} },
	"A_ACCEPTED/COMPLETE":        func(by application.By) application.Command { return application.Accept{By: by} },
	"A_FINALIZED/COMPLETE":       func(by application.By) application.Command { return application.Finalize{By: by} },
	"A_REGISTERED/COMPLETE":      func(by application.By) application.Command { return application.Register{By: by} },
	"A_APPROVED/COMPLETE":        func(by application.By) application.Command { return application.Approve{By: by} },
	"A_ACTIVATED/COMPLETE":       func(by application.By) application.Command { return application.Activate{By: by} },
	"A_DECLINED/COMPLETE":        func(by application.By) application.Command { return application.Decline{By: by} },
	"A_CANCELLED/COMPLETE":       func(by application.By) application.Command { return application.Cancel{By: by} },
	"O_SELECTED/COMPLETE":        func(by application.By) application.Command { return application.SelectOffer{By: by} },
	"O_CREATED/COMPLETE":         func(by application.By) application.Command { return application.CreateOffer{By: by} },
	"O_SENT/COMPLETE":            func(by application.By) application.Command { return application.SendOffer{By: by} },
	"O_SENT_BACK/COMPLETE":       func(by application.By) application.Command { return application.ReturnOffer{By: by} },
	"O_ACCEPTED/COMPLETE":        func(by application.By) application.Command { return application.AcceptOffer{By: by} },
	"O_DECLINED/COMPLETE":        func(by application.By) application.Command { return application.DeclineOffer{By: by} },
	"O_CANCELLED/COMPLETE":       func(by application.By) application.Command { return application.CancelOffer{By: by} },
}

// ActivityError says that the file has an activity, or a step of one, that no
// command stands for.
type ActivityError struct {
	Application string
	Line        int
	Key         string // ACTIVITY/STEP
}

func (e *ActivityError) Error() string {
	return fmt.Sprintf("line %d, application %s: no command stands for %q", e.Line, e.Application, e.Key)
}
