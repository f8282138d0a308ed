package evolution

import (
	"errors"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// Reasons for saying no, in all builds.
var (
	ErrUnknown   = errors.New("the parcel is not registered")
	ErrKnown     = errors.New("the parcel is registered already")
	ErrDelivered = errors.New("the parcel was delivered")
	ErrThere     = errors.New("the parcel is there already")
)

// What the first build is asked and writes. Its types have kept their V1 ever since
// a step needs them.
type (
	// CommandV1 is a command of the first build.
	CommandV1 interface {
		decide(StateV1) ([]EventV1, error)
	}
	// RegisterV1 takes a parcel in, with the sender's name in two parts.
	RegisterV1 struct {
		First string `json:"first"`
		Last  string `json:"last"`
		Grams int    `json:"grams"`
		At    string `json:"at"`
	}
	// MoveV1 brings it elsewhere.
	MoveV1 struct {
		To string `json:"to"`
	}
	// DeliverV1 hands it over.
	DeliverV1 struct {
		Hand string `json:"hand"`
	}
	// ScanV1 notes that somebody looked at it.
	ScanV1 struct {
		By string `json:"by"`
	}

	// EventV1 is an event of the first build.
	EventV1 interface {
		evolve(StateV1) StateV1
	}
	// RegisteredV1 says what came in; First and Last are one field since.
	RegisteredV1 RegisterV1
	// MovedV1 is two events since.
	MovedV1 struct {
		From string `json:"from"`
		To   string `json:"to"`
	}
	// DeliveredV1 has another name since.
	DeliveredV1 DeliverV1
	// ScannedV1 is dropped since.
	ScannedV1 ScanV1

	// StateV1 is a parcel in the first build.
	StateV1 struct {
		Name      string `json:"name"`
		Grams     int    `json:"grams"`
		At        string `json:"at"`
		Delivered bool   `json:"delivered"`
		Scans     int    `json:"scans"`
	}
)

func (c RegisterV1) decide(s StateV1) ([]EventV1, error) {
	if s.At != "" {
		return nil, ErrKnown
	}
	return []EventV1{RegisteredV1(c)}, nil
}

func (c MoveV1) decide(s StateV1) ([]EventV1, error) {
	if err := s.movable(c.To); err != nil {
		return nil, err
	}
	return []EventV1{MovedV1{From: s.At, To: c.To}}, nil
}

func (c DeliverV1) decide(s StateV1) ([]EventV1, error) {
	if err := s.movable(""); err != nil {
		return nil, err
	}
	return []EventV1{DeliveredV1(c)}, nil
}

func (c ScanV1) decide(StateV1) ([]EventV1, error) { return []EventV1{ScannedV1(c)}, nil }

func (s StateV1) movable(to string) error {
	switch {
	case s.At == "":
		return ErrUnknown
	case s.Delivered:
		return ErrDelivered
	case s.At == to:
		return ErrThere
	}
	return nil
}

func (e RegisteredV1) evolve(s StateV1) StateV1 {
	s.Name, s.Grams, s.At = e.First+" "+e.Last, e.Grams, e.At
	return s
}

func (e MovedV1) evolve(s StateV1) StateV1 {
	s.At = e.To
	return s
}

func (e DeliveredV1) evolve(s StateV1) StateV1 {
	s.Delivered = true
	return s
}

func (e ScannedV1) evolve(s StateV1) StateV1 {
	s.Scans++
	return s
}

// ParcelsV1 is the aggregate of the first build.
var ParcelsV1 = actor.Aggregate[StateV1, CommandV1, EventV1]{
	Type:   "parcel",
	Decide: func(s StateV1, c CommandV1) ([]EventV1, error) { return c.decide(s) },
	Evolve: func(s StateV1, e EventV1) StateV1 { return e.evolve(s) },
	Commands: store.NewTypes(map[string]CommandV1{
		"register": RegisterV1{}, "move": MoveV1{}, "deliver": DeliverV1{}, "scan": ScanV1{},
	}),
	Events: store.NewTypes(map[string]EventV1{
		"registered": RegisteredV1{}, "moved": MovedV1{}, "delivered": DeliveredV1{}, "scanned": ScannedV1{},
	}),
}

// PlacesV1 is the view of places as the first build has it.
var PlacesV1 = projector.Documents[EventV1, Place]{
	Name: "places", Types: []string{"parcel"}, Events: ParcelsV1.Events,
	Keys: func(e store.Recorded[EventV1]) []string {
		switch e := e.Data.(type) {
		case RegisteredV1:
			return []string{e.At}
		case MovedV1:
			return []string{e.From, e.To}
		}
		return nil
	},
	Fold: func(place string, d Place, e store.Recorded[EventV1]) Place {
		switch e := e.Data.(type) {
		case RegisteredV1:
			return d.in(e.Grams)
		case MovedV1:
			if e.From == place {
				return d.out()
			}
			return d.in(0)
		}
		return d
	},
}

// Place is what the view of places keeps, in all builds.
type Place struct {
	In    int `json:"in"`
	Out   int `json:"out"`
	Grams int `json:"grams"`
}

func (p Place) in(grams int) Place { return Place{In: p.In + 1, Out: p.Out, Grams: p.Grams + grams} }
func (p Place) out() Place         { return Place{In: p.In, Out: p.Out + 1, Grams: p.Grams} }
