package node

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

const (
	// followEvery is how often a rebuild is looked at, tellEvery how often it is
	// told of where no person watches.
	followEvery = 250 * time.Millisecond
	tellEvery   = time.Second
	// followPatience is how long nobody may answer before following ends: a view
	// that changes nodes is back long before.
	followPatience = time.Minute
)

// following watches a rebuild until it is over.
type following struct {
	session  *Session
	operator gateway.Operator
	model    projector.Model
	asked    projector.Rebuild

	began time.Time
	told  time.Time
	heard time.Time // of the last answer
}

// rebuilding is what is printed of a rebuild as JSON.
type rebuilding struct {
	Model       string            `json:"model"`
	Role        string            `json:"role"`
	State       string            `json:"state"`
	Events      uint64            `json:"events"`
	Left        uint64            `json:"left"`
	Percent     float64           `json:"percent"`
	Rate        float64           `json:"rate"`
	SecondsLeft float64           `json:"seconds_left,omitempty"`
	Parity      *projector.Parity `json:"parity,omitempty"`
	Done        bool              `json:"done"`
	Seconds     float64           `json:"seconds"`
}

func (f *following) run(ctx context.Context) error {
	f.began = time.Now()
	f.heard = f.began
	progress := f.session.Progress()
	defer progress.End()
	for {
		p, err := request(ctx, f.session, "projection.info", f.operator.Info)
		switch {
		case ctx.Err() != nil:
			progress.End()
			return f.leave(ctx)
		case err != nil && (!passing(err) || time.Since(f.heard) > followPatience):
			return err
		case err == nil:
			f.heard = time.Now()
			m, over, failure := f.judge(p.Models)
			if over {
				progress.End()
				return f.end(m, failure)
			}
			if err := f.tell(progress, m); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(followEvery):
		}
	}
}

// passing reports whether an error may be over when it is asked again.
func passing(err error) bool {
	return errors.Is(err, store.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded)
}

// judge says what has become of the model that is built: it is over when it is
// served as was asked, waits for promote, or cannot go on.
func (f *following) judge(models []projector.Status) (m projector.Status, over bool, failure *Failure) {
	s, view := f.session, f.model.View
	i := slices.IndexFunc(models, func(m projector.Status) bool { return modelOf(m) == f.model })
	if i < 0 {
		return m, true, &Failure{
			Code: codeCancelled, Exit: console.ExitConflict, What: fmt.Sprintf("%s is not there any more", f.model),
			Why: "the rebuild was cancelled, or another one began", Fix: fmt.Sprintf("see: %s projection info %s", s.app.Name, view),
		}
	}
	m = models[i]
	caughtUp := m.State == projector.StateLive
	switch {
	case m.State == projector.StateFailed:
		return m, true, &Failure{
			Code: console.CodeFailure, Exit: console.ExitFailure, What: fmt.Sprintf("the rebuild of %s cannot go on", f.model), Why: m.Error,
			Fix: fmt.Sprintf("repair the cause and it goes on, or give it up: %s projection cancel %s", s.app.Name, view),
		}
	case m.Role == projector.RoleLive:
		return m, caughtUp, nil
	case m.Role != projector.RoleCandidate:
		return m, true, nil // it was served and is not any more
	case m.Parity != nil && m.Parity.Differences > 0:
		return m, true, &Failure{
			Code: gateway.CodeParity, Exit: console.ExitConflict, What: fmt.Sprintf("%s is not served: %s", f.model, parityText(*m.Parity)),
			Why: "the definition or the events' upcasting changed, or one of the models is wrong",
			Fix: fmt.Sprintf("look: %[1]s projection info %[2]s; then %[1]s projection promote %[2]s --force, or cancel", s.app.Name, view),
		}
	}
	compared := f.asked.Parity == 0 || m.Parity != nil
	return m, caughtUp && compared && !f.asked.Switch, nil
}

func (f *following) report(m projector.Status) rebuilding {
	r := rebuilding{
		Model: f.model.String(), Role: m.Role, State: m.State, Events: m.Events, Left: m.LagEvents,
		Percent: percentOf(m), Rate: math.Round(m.Rate), Parity: m.Parity, Seconds: rounded(time.Since(f.began).Seconds()),
	}
	if m.State == projector.StateCatchingUp && m.Rate > 0 {
		r.SecondsLeft = rounded(leftOf(m).Seconds())
	}
	return r
}

func rounded(x float64) float64 { return math.Round(10*x) / 10 }

// percentOf is 100 only for a model that has caught up.
func percentOf(m projector.Status) float64 {
	if m.LagEvents == 0 && m.State == projector.StateLive {
		return 100
	}
	all := float64(m.Events + m.LagEvents)
	if all == 0 {
		return 0
	}
	return min(99.9, math.Floor(1000*float64(m.Events)/all)/10)
}

// tell shows how it comes along: as a bar that moves, as lines, or as JSON.
func (f *following) tell(progress *console.Progress, m projector.Status) error {
	s := f.session
	if s.Interactive() && !s.JSON() {
		progress.Show("%s", console.Printable(barText(f.report(m))))
		return nil
	}
	if time.Since(f.told) < tellEvery {
		return nil
	}
	f.told = time.Now()
	switch {
	case s.JSON():
		return s.Print(f.report(m))
	case !s.Quiet():
		fmt.Fprintln(s.Err(), console.Printable(progressText(f.report(m))))
	}
	return nil
}

// barText is a line for a terminal.
func barText(r rebuilding) string {
	const width = 20
	full := int(r.Percent / 100 * width)
	return r.Model + "  " + strings.Repeat("█", full) + strings.Repeat("░", width-full) + "  " + amountText(r)
}

// progressText is a line for a file.
func progressText(r rebuilding) string { return r.Model + ": " + amountText(r) }

func amountText(r rebuilding) string {
	if r.State == projector.StateStarting || r.Events == 0 && r.Left > 0 { // how many are left is not known yet
		return "begins"
	}
	text := fmt.Sprintf("%.0f %%  %s/%s events", math.Floor(r.Percent), humanize.Comma(int64(r.Events)), humanize.Comma(int64(r.Events+r.Left)))
	switch {
	case r.State == projector.StateLive && r.Role == projector.RoleCandidate:
		text += "  compared with the live model"
	case r.Rate > 0:
		text += fmt.Sprintf("  %s/s  %v left", humanize.Comma(int64(r.Rate)), time.Duration(r.SecondsLeft*float64(time.Second)).Round(time.Second))
	}
	return text
}

// end prints how it ended.
func (f *following) end(m projector.Status, failure *Failure) error {
	s := f.session
	r := f.report(m)
	r.Done = failure == nil
	if s.JSON() && m.Name != "" {
		if err := s.Print(r); err != nil {
			return err
		}
	}
	if failure != nil {
		return failure
	}
	if s.JSON() {
		return nil
	}
	parity := ""
	if r.Parity != nil {
		parity = "; " + parityText(*r.Parity)
	}
	view := f.model.View
	text := fmt.Sprintf("%s in %.1f s%s", console.Plural(r.Events, "event"), r.Seconds, parity)
	switch {
	case m.Role == projector.RoleCandidate:
		text = fmt.Sprintf("%s has caught up: %s; serve it: %[3]s projection promote %[4]s; or drop it: %[3]s projection cancel %[4]s", r.Model, text, s.app.Name, view)
	case m.Role == projector.RoleLive && f.asked.Online:
		text = fmt.Sprintf("%s is served: %s; undo: %s projection rollback %s", r.Model, text, s.app.Name, view)
	case m.Role == projector.RoleLive:
		text = fmt.Sprintf("%s is served: %s", r.Model, text)
	default:
		text = fmt.Sprintf("%s was served, and is not any more: %s", r.Model, text)
	}
	_, err := fmt.Fprintln(s.Out(), console.Printable(text))
	return err
}

// leave says, after Ctrl-C, that the rebuild goes on.
func (f *following) leave(ctx context.Context) error {
	name, view := f.session.app.Name, f.model.View
	fmt.Fprintf(f.session.Err(), "the rebuild of %s goes on; see: %s projection info %s; give it up: %s projection cancel %s\n",
		console.Printable(f.model.String()), name, view, name, view)
	return ctx.Err()
}
