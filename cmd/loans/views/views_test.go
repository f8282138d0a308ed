package views_test

import (
	"encoding/json"
	"io"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/annals-go/annals/cmd/loans/application"
	"github.com/annals-go/annals/cmd/loans/history"
	"github.com/annals-go/annals/cmd/loans/views"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

type event = store.Recorded[application.Event]

// folder folds events into the documents of a view, as a group does.
type folder[D any] struct {
	view projector.Documents[application.Event, D]
	docs map[string]D
}

func newFolder[D any](view projector.Documents[application.Event, D]) folder[D] {
	return folder[D]{view: view, docs: map[string]D{}}
}

func (f folder[D]) fold(e event) {
	for _, key := range f.view.Keys(e) {
		f.docs[key] = f.view.Fold(key, f.docs[key], e)
	}
}

// replay yields the events that the domain decides when it is sent a file's
// history. Any rejection fails the test.
func replay(t *testing.T, file io.Reader) iter.Seq[event] {
	t.Helper()
	return func(yield func(event) bool) {
		for trace, err := range history.Read(file) {
			if err != nil {
				t.Fatal(err)
			}
			var a application.Application
			for i, entry := range trace.Events {
				c, err := trace.Command(i)
				if err != nil {
					t.Fatal(err)
				}
				decided, err := a.Decide(c)
				if err != nil || len(decided) != 1 {
					t.Fatalf("application %s, %s in line %d: %v, %v", trace.Application, entry.Key(), entry.Line, decided, err)
				}
				a = a.Evolve(decided[0])
				if !yield(recorded(trace.Application, decided[0])) {
					return
				}
			}
		}
	}
}

func recorded(id string, e application.Event) event {
	return event{Stream: store.StreamID{Type: application.Applications.Type, ID: id}, Time: recordedAt, Data: e}
}

var (
	recordedAt = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	day        = func(n int) application.By {
		return application.By{Time: time.Date(2012, 3, n, 0, 0, 0, 0, time.UTC)}
	}
)

func TestApplications(t *testing.T) {
	t.Parallel()
	f := newFolder(views.Applications)
	for _, e := range []application.Event{
		application.Submitted{Amount: 20_000, By: day(1)},
		application.PartlySubmitted{By: day(1)},
		application.WorkScheduled{Item: "a", By: day(2)},
		application.WorkScheduled{Item: "b", By: day(2)},
		application.WorkStarted{Item: "a", By: day(3)},
		application.OfferSent{By: day(4)},
		application.OfferCancelled{By: day(4)},
		application.OfferSent{By: day(5)},
		application.OfferReturned{By: day(6)},
		application.WorkCompleted{Item: "a", By: day(6)},
		application.Approved{By: day(7)},
		application.Activated{Amount: 20_000, By: day(8)},
		application.Registered{By: day(8)},
		application.OfferAccepted{By: day(9)},
	} {
		f.fold(recorded("173688", e))
	}
	want := map[string]views.Application{"173688": {
		State: "activated", Amount: 20_000, OpenWork: []string{"b"},
		Offers:    views.Offers{Sent: 2, Returned: 1, Accepted: 1, Cancelled: 1},
		Submitted: day(1).Time, Decided: day(8).Time, Last: day(9).Time,
	}}
	if d := cmp.Diff(want, f.docs); d != "" {
		t.Errorf("documents (-want +got):\n%s", d)
	}
}

// TestApplicationsWithoutTimes: what a person types says no time; then the
// log's stands in for it.
func TestApplicationsWithoutTimes(t *testing.T) {
	t.Parallel()
	f := newFolder(views.Applications)
	f.fold(recorded("1", application.Submitted{}))
	if d := f.docs["1"]; !d.Submitted.Equal(recordedAt) || !d.Last.Equal(recordedAt) || !d.Decided.IsZero() {
		t.Errorf("times %v, %v, %v; want those of the log and none", d.Submitted, d.Last, d.Decided)
	}
}

func TestOutcomesMoves(t *testing.T) {
	t.Parallel()
	f := newFolder(views.Outcomes)
	for _, e := range []event{
		recorded("1", application.Submitted{Amount: 10}),
		recorded("2", application.Submitted{Amount: 20}),
		recorded("1", application.PartlySubmitted{}),
		recorded("1", application.Declined{Amount: 10}),
	} {
		f.fold(e)
	}
	want := map[string]views.Sum{"open": {Count: 1, Amount: 20}, "declined": {Count: 1, Amount: 10}}
	if d := cmp.Diff(want, f.docs); d != "" {
		t.Errorf("documents (-want +got):\n%s", d)
	}
}

func TestWorkloadNamesNobody(t *testing.T) {
	t.Parallel()
	f := newFolder(views.Workload)
	f.fold(recorded("1", application.OfferSent{}))
	f.fold(recorded("1", application.OfferSent{By: application.By{Employee: "112"}}))
	want := map[string]views.Employee{views.Unassigned: {Events: 1, Offer: 1}, "112": {Events: 1, Offer: 1}}
	if d := cmp.Diff(want, f.docs); d != "" {
		t.Errorf("documents (-want +got):\n%s", d)
	}
}

// TestDocumentsSurviveStorage: a view whose documents go through JSON at every
// event ends with the same documents as one that keeps them in memory.
func TestDocumentsSurviveStorage(t *testing.T) {
	t.Parallel()
	var file strings.Builder
	if err := history.Write(&file, history.Sample(300, 4)); err != nil {
		t.Fatal(err)
	}
	events := slices.Collect(replay(t, strings.NewReader(file.String())))
	survives(t, events, views.Applications)
	survives(t, events, views.Activities)
	survives(t, events, views.Workload)
	survives(t, events, views.Outcomes)
}

func survives[D any](t *testing.T, events []event, view projector.Documents[application.Event, D]) {
	t.Helper()
	kept, stored := newFolder(view), map[string]json.RawMessage{}
	for _, e := range events {
		kept.fold(e)
		for _, key := range view.Keys(e) {
			var d D
			if data, ok := stored[key]; ok {
				if err := json.Unmarshal(data, &d); err != nil {
					t.Fatal(err)
				}
			}
			data, err := json.Marshal(view.Fold(key, d, e))
			if err != nil {
				t.Fatal(err)
			}
			stored[key] = data
		}
	}
	for key, d := range kept.docs {
		want, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		if string(want) != string(stored[key]) {
			t.Errorf("view %s, document %s: stored %s, in memory %s", view.Name, key, stored[key], want)
		}
	}
}

// TestKeysAreTokens: whatever name the domain accepts, every view finds a key
// for it that can be stored. A key that cannot be would stop the view.
func TestKeysAreTokens(t *testing.T) {
	t.Parallel()
	submitted := application.Application{}.Evolve(application.Submitted{})
	names := rapid.StringOfN(rapid.RuneFrom([]rune(" =*>./"), unicode.L, unicode.M, unicode.N, unicode.P, unicode.S, unicode.Zs, unicode.Cf), 1, 20, -1)
	accepted := 0
	rapid.Check(t, func(t *rapid.T) {
		by := application.By{Employee: names.Draw(t, "employee")}
		decided, err := submitted.Decide(application.ScheduleWork{Item: names.Draw(t, "item"), By: by})
		if err != nil {
			return
		}
		accepted++
		e := recorded("1", decided[0])
		for _, key := range append(views.Activities.Keys(e), views.Workload.Keys(e)...) {
			if _, err := store.EncodeToken(key); err != nil {
				t.Fatalf("key %q: %v", key, err)
			}
		}
	})
	if accepted == 0 {
		t.Error("the domain accepted none of the names")
	}
	longest := strings.Repeat("\u20ac", application.MaxNameBytes/3)
	e := recorded("1", application.WorkScheduled{Item: longest, By: application.By{Employee: longest}})
	for _, key := range append(views.Activities.Keys(e), views.Workload.Keys(e)...) {
		if _, err := store.EncodeToken(key); err != nil {
			t.Errorf("key %q: %v", key, err)
		}
	}
}

func TestAll(t *testing.T) {
	t.Parallel()
	var names []string
	for _, v := range views.All() {
		d := v.Describe()
		names = append(names, d.Name)
		if len(d.Types) != 1 || d.Types[0] != "application" {
			t.Errorf("view %s follows %v", d.Name, d.Types)
		}
	}
	if d := cmp.Diff([]string{"applications", "activities", "workload", "outcomes"}, names); d != "" {
		t.Errorf("views (-want +got):\n%s", d)
	}
}
