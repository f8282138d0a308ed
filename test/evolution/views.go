package evolution

import (
	"context"
	"database/sql"
	"math"
	"sync"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// Places goes on with what PlacesV1 stored: its documents are the same, so it is the
// same version of the view. A move touches two of them with one part each.
var Places = projector.Documents[Event, Place]{
	Name: "places", Types: []string{"parcel"}, Events: Parcels.Events,
	Keys: func(e store.Recorded[Event]) []string {
		switch e := e.Data.(type) {
		case Registered:
			return []string{e.At}
		case Departed:
			return []string{e.From}
		case Arrived:
			return []string{e.At}
		}
		return nil
	},
	Fold: func(_ string, d Place, e store.Recorded[Event]) Place {
		switch e := e.Data.(type) {
		case Registered:
			return d.in(int(math.Round(e.Kilos * 1000)))
		case Departed:
			return d.out()
		case Arrived:
			return d.in(0)
		}
		return d
	},
}

// Track is a parcel's way as the view of tracks keeps it.
type Track struct {
	Sender string   `json:"sender"`
	Steps  []string `json:"steps"`
}

// Tracks has a document for each parcel: both parts of a move are in it.
var Tracks = projector.Documents[Event, Track]{
	Name: "tracks", Types: []string{"parcel"}, Events: Parcels.Events,
	Keys: func(e store.Recorded[Event]) []string { return []string{e.Stream.ID} },
	Fold: func(_ string, d Track, e store.Recorded[Event]) Track {
		switch data := e.Data.(type) {
		case Registered:
			d.Sender = data.Sender
		case HandedOver:
			d.Steps = append(d.Steps, data.To)
		}
		d.Steps = append(d.Steps, e.Type)
		return d
	},
}

// Arrivals counts arrivals, whatever they were stored as.
var Arrivals = projector.Documents[Event, Place]{
	Name: "arrivals", Types: []string{"parcel"}, Events: Parcels.Events, Only: []string{"arrived"},
	Keys: func(e store.Recorded[Event]) []string { return []string{e.Data.(Arrived).At} },
	Fold: func(_ string, d Place, _ store.Recorded[Event]) Place { return d.in(0) },
}

// Steps has a row for each value of each event.
var Steps = projector.Tables[Event]{
	Name: "steps", Types: []string{"parcel"}, Events: Parcels.Events,
	Tables: []string{`CREATE TABLE steps (parcel TEXT, version INTEGER, part INTEGER, name TEXT, event TEXT, PRIMARY KEY (parcel, version, part))`},
	Apply: func(ctx context.Context, tx *sql.Tx, e store.Recorded[Event]) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO steps VALUES ($1, $2, $3, $4, $5)`, e.Stream.ID, int64(e.Version), e.Part, e.Type, e.ID.String())
		return err
	},
	Get: func(ctx context.Context, tx *sql.Tx, parcel string) (any, error) {
		rows, err := tx.QueryContext(ctx, `SELECT version, part, name, event FROM steps WHERE parcel = $1 ORDER BY version, part`, parcel)
		if err != nil {
			return nil, err
		}
		defer func() { _ = rows.Close() }()
		var steps []Step
		for rows.Next() {
			var s Step
			if err := rows.Scan(&s.Version, &s.Part, &s.Name, &s.Event); err != nil {
				return nil, err
			}
			steps = append(steps, s)
		}
		return steps, rows.Err()
	},
}

// Step is a row of Steps: a value of a stored event, whose id all its values share.
type Step struct {
	Version uint64 `json:"version"`
	Part    int    `json:"part"`
	Name    string `json:"name"`
	Event   string `json:"event"`
}

// Notices is what a reaction tells people, by parcel.
type Notices struct {
	mu   sync.Mutex
	told map[string][]Step
}

// Reaction tells each value of each event.
func (n *Notices) Reaction() projector.Reaction[Event] {
	return projector.Reaction[Event]{
		Name: "notices", Types: []string{"parcel"}, Events: Parcels.Events,
		React: func(_ context.Context, e store.Recorded[Event]) error {
			n.mu.Lock()
			defer n.mu.Unlock()
			if n.told == nil {
				n.told = map[string][]Step{}
			}
			n.told[e.Stream.ID] = append(n.told[e.Stream.ID], Step{Version: e.Version, Part: e.Part, Name: e.Type, Event: e.ID.String()})
			return nil
		},
	}
}

// Of returns what was told of a parcel.
func (n *Notices) Of(parcel string) []Step {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]Step(nil), n.told[parcel]...)
}
