package projector

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// Tables defines an SQL view: statements that make its tables, and what an event
// changes in them. It is a value; a [Group] runs it, on a store that keeps tables.
//
// Apply should depend on nothing but the event and the tables, for the same events
// must give the same rows when a view is built again.
type Tables[E any] struct {
	// Name, Version, Types, Events, Only and Skip are as in [Documents].
	Name    string
	Version int
	Types   []string
	Events  store.Types[E]
	Only    []string
	Skip    []SkipEvent
	// Workers is how many workers share the events, by their streams: the events of
	// one stream come in order, those of several workers side by side. 1 to 64;
	// default 1. Another number needs a rebuild. Where the store is shared they may
	// run in several groups, see [Config.Spread].
	Workers int
	// Tables are the statements that make the tables. They run once, when the model
	// is created.
	Tables []string
	// Apply changes the tables. It is called for each event, and each part of one that
	// is split ([store.Split]), in the transaction that
	// stores the checkpoint, and again if that has to be repeated; so it keeps
	// nothing and does nothing else. An error or a panic rolls the transaction back
	// and, if it stays, parks the event's stream; an error that matches
	// [store.ErrUnavailable] has the worker wait instead.
	Apply func(ctx context.Context, tx *sql.Tx, e store.Recorded[E]) error
	// Get answers a question for one key, from a transaction that cannot write:
	// what it returns is served as encoding/json writes it. nil, and an error that
	// matches [sql.ErrNoRows], mean that there is nothing. Default nil: the view
	// cannot be asked so.
	Get func(ctx context.Context, tx *sql.Tx, key string) (any, error)
	// Forgotten takes a person who was forgotten out of the tables: what Apply wrote
	// there of the personal fields of events. It is called once for each notice, after the
	// person's events before it, in the transaction that stores the checkpoint, as Apply is. The store then
	// cleans its files as far as it can ([Scrubber]). A view that gets a handler, or loses
	// it, needs another Version. It is needed for events that have personal fields,
	// unless the view is Impersonal.
	Forgotten func(ctx context.Context, tx *sql.Tx, n privacy.Notice) error
	// Held says what the tables hold about a person, for those who ask what is held about them
	// ([Group.Held]): one [RowsOf] for each table that Apply copies personal fields of events to. It is
	// believed: a table that is not named is told of to nobody. Default none: the view answers
	// that it holds something and cannot tell. It may be added without another Version.
	Held []Held
	// Impersonal says that Apply copies nothing of the personal fields of events.
	// Whatever is copied all the same is never forgotten.
	Impersonal bool
}

// Describe implements [Definition].
func (v Tables[E]) Describe() Description { return v.common().describe() }

func (v Tables[E]) validate() error { return v.common().validate() }

func (v Tables[E]) common() common {
	c := common{
		kind: ofTables, name: v.Name, version: v.Version, types: v.Types, known: v.Events.Names(), origins: v.Events.Origins(v.Only...),
		only: v.Only, skip: v.Skip, workers: v.Workers, ddl: v.Tables,
	}
	c.events, c.impersonal, c.told = personalEvents(v.Events, v.Only), v.Impersonal, v.Forgotten != nil
	switch {
	case len(v.Tables) == 0:
		c.missing = "Tables"
	case v.Apply == nil:
		c.missing = "Apply"
	}
	c.wrong = badHeld(v.Held, v.Impersonal)
	return c
}

func (v Tables[E]) folder(codec store.Codec, _ part) folder {
	return &tableFolder[E]{view: v, wire: v.wire(codec)}
}

func (v Tables[E]) wire(codec store.Codec) *wire[E] {
	return newWire(v.Events, codec, v.Describe(), v.Only)
}

func (v Tables[E]) shower(codec store.Codec) shower { return v.wire(codec) }

// answerer is a definition that answers questions itself.
type answerer interface {
	answers() bool
	answer(ctx context.Context, tx *sql.Tx, key string) (json.RawMessage, error)
}

func (v Tables[E]) answers() bool { return v.Get != nil }

// answer returns nil if there is nothing under key.
func (v Tables[E]) answer(ctx context.Context, tx *sql.Tx, key string) (data json.RawMessage, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("view %s: get %q: %w", v.Name, key, &PanicError{Value: r, Stack: debug.Stack()})
		}
	}()
	value, err := v.Get(ctx, tx, key)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("view %s: get %q: %w", v.Name, key, err)
	}
	if data, err = json.Marshal(value); err != nil {
		return nil, fmt.Errorf("view %s: encode %q: %w", v.Name, key, err)
	}
	if bytes.Equal(data, []byte("null")) {
		return nil, nil
	}
	return data, nil
}

// tableFolder is the folder of an SQL view. It gathers events, and applies them
// when they are written.
type tableFolder[E any] struct {
	view   Tables[E]
	wire   *wire[E]
	staged []reading[E]
	batch  []reading[E]
	stale  func() error // see room
}

func (f *tableFolder[E]) stage(a arrival) error {
	e, err := f.wire.read(a)
	if err == nil {
		f.staged = append(f.staged, e)
	}
	return err
}

func (f *tableFolder[E]) missing() []string { return nil }

func (f *tableFolder[E]) admit([]string, []Document) error { return nil }

func (f *tableFolder[E]) fold(_ context.Context, most room) (int, error) {
	n := max(0, min(len(f.staged), most.events-len(f.batch)))
	f.stale = most.check
	f.batch = append(f.batch, f.staged[:n]...)
	f.staged = append(f.staged[:0], f.staged[n:]...)
	return n, nil
}

func (f *tableFolder[E]) pending() (changes, error) {
	if len(f.batch) == 0 {
		return changes{}, nil
	}
	return changes{apply: f.apply}, nil
}

func (f *tableFolder[E]) apply(ctx context.Context, tx *sql.Tx) error {
	for i := range f.batch {
		if err := f.stale(); err != nil {
			return err
		}
		for nth := range f.batch[i].count() {
			if err := f.one(ctx, tx, f.batch[i].nth(nth), f.batch[i].notice); err != nil {
				return err
			}
		}
	}
	return f.stale()
}

func (f *tableFolder[E]) one(ctx context.Context, tx *sql.Tx, e store.Recorded[E], n *privacy.Notice) (err error) {
	defer f.wire.fault.contain(eventOf(e), &err)
	if n != nil {
		err = f.view.Forgotten(ctx, tx, *n)
	} else {
		err = f.view.Apply(ctx, tx, e)
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil, ofDatabase(err):
		if f.wire.fault.isPrivate(eventOf(e)) {
			err = withhold(err)
		}
		return fmt.Errorf("view %s: %w: %w", f.view.Name, store.ErrUnavailable, err)
	}
	return f.wire.fault.handler(eventOf(e), err)
}

// drop reports whether nothing that is gathered is to be dropped: all of it is needed.
func (f *tableFolder[E]) drop(erased func([]store.KeyRef) bool) bool {
	holds := func(r reading[E]) bool { return r.holds(erased) }
	return !slices.ContainsFunc(f.staged, holds) && !slices.ContainsFunc(f.batch, holds)
}

func (f *tableFolder[E]) holds(Document, string) bool { return false }

func (f *tableFolder[E]) clean() { f.batch = f.batch[:0] }

func (f *tableFolder[E]) trim(int) {}

func (f *tableFolder[E]) partly() bool { return false }

// whole is false: what is applied is applied when it is written.
func (f *tableFolder[E]) whole() bool { return false }

// ofDatabase reports whether the error is the database's own, which passes when
// the database is back, and not one that the event makes each time: a connection
// that is gone, and the classes of SQLSTATE that speak of connections, repeated
// transactions, resources, operators and the system.
func ofDatabase(err error) bool {
	if errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, sql.ErrTxDone) {
		return true
	}
	var network net.Error
	if errors.As(err, &network) {
		return true
	}
	var state interface{ SQLState() string }
	if !errors.As(err, &state) {
		return false
	}
	for _, class := range []string{"08", "40", "53", "55P03", "57", "58", "25006"} {
		if strings.HasPrefix(state.SQLState(), class) {
			return true
		}
	}
	return false
}
