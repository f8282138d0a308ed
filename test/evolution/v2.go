package evolution

import (
	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
)

// What the second build is asked and writes where it differs from the first: the
// sender's name is one field, and delivered is called handed-over.
type (
	// CommandV2 is a command of the second build.
	CommandV2 interface {
		decideV2(StateV1) ([]EventV2, error)
	}
	// RegisterV2 takes a parcel in.
	RegisterV2 struct {
		Sender string `json:"sender"`
		Grams  int    `json:"grams"`
		At     string `json:"at"`
	}
	// EventV2 is an event of the second build.
	EventV2 interface {
		evolve(StateV1) StateV1
		inV2()
	}
	// RegisteredV2 says what came in.
	RegisteredV2 RegisterV2
	// HandedOverV1 is DeliveredV1 under its new name.
	HandedOverV1 struct {
		Hand string `json:"hand"`
	}
)

func (MovedV1) inV2()      {}
func (ScannedV1) inV2()    {}
func (RegisteredV2) inV2() {}
func (HandedOverV1) inV2() {}

func (c RegisterV2) decideV2(s StateV1) ([]EventV2, error) {
	if s.At != "" {
		return nil, ErrKnown
	}
	return []EventV2{RegisteredV2(c)}, nil
}

func (c MoveV1) decideV2(s StateV1) ([]EventV2, error) {
	if err := s.movable(c.To); err != nil {
		return nil, err
	}
	return []EventV2{MovedV1{From: s.At, To: c.To}}, nil
}

func (c DeliverV1) decideV2(s StateV1) ([]EventV2, error) {
	if err := s.movable(""); err != nil {
		return nil, err
	}
	return []EventV2{HandedOverV1(c)}, nil
}

func (c ScanV1) decideV2(StateV1) ([]EventV2, error) { return []EventV2{ScannedV1(c)}, nil }

func (e RegisteredV2) evolve(s StateV1) StateV1 {
	s.Name, s.Grams, s.At = e.Sender, e.Grams, e.At
	return s
}

func (e HandedOverV1) evolve(s StateV1) StateV1 {
	s.Delivered = true
	return s
}

// The steps of the second build, which the third one keeps.
func registerV2(c RegisterV1) RegisterV2 {
	return RegisterV2{Sender: c.First + " " + c.Last, Grams: c.Grams, At: c.At}
}

func registeredV2(e RegisteredV1) RegisteredV2 { return RegisteredV2(registerV2(RegisterV1(e))) }

func handedOverV1(e DeliveredV1) HandedOverV1 { return HandedOverV1(e) }

// ParcelsV2 is the aggregate of the second build. Its state is that of the first.
var ParcelsV2 = actor.Aggregate[StateV1, CommandV2, EventV2]{
	Type:   "parcel",
	Decide: func(s StateV1, c CommandV2) ([]EventV2, error) { return c.decideV2(s) },
	Evolve: func(s StateV1, e EventV2) StateV1 { return e.evolve(s) },
	Commands: store.NewTypes(
		map[string]CommandV2{"register": RegisterV2{}, "move": MoveV1{}, "hand-over": DeliverV1{}, "scan": ScanV1{}},
		store.Upcast("register", 1, registerV2), store.Rename("deliver", 1, "hand-over")),
	Events: store.NewTypes(
		map[string]EventV2{"registered": RegisteredV2{}, "moved": MovedV1{}, "handed-over": HandedOverV1{}, "scanned": ScannedV1{}},
		store.Upcast("registered", 1, registeredV2), store.Upcast("delivered", 1, handedOverV1), store.Rename("delivered", 2, "handed-over")),
}
