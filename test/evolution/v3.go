package evolution

import (
	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
)

// What the third build is asked and writes: weights are in kilograms, a move is a
// departure and an arrival, nobody is interested in scans any more, and who takes a
// parcel may sign.
type (
	// Command is a command of the third build.
	Command interface {
		decideV3(State) ([]Event, error)
	}
	// Register takes a parcel in.
	Register struct {
		Sender string  `json:"sender"`
		Kilos  float64 `json:"kilos"`
		At     string  `json:"at"`
	}
	// Move brings it elsewhere.
	Move struct {
		To string `json:"to"`
	}
	// HandOver ends its way.
	HandOver struct {
		To     string `json:"to"`
		Signed bool   `json:"signed"`
	}

	// Event is an event of the third build.
	Event interface {
		evolveV3(State) State
	}
	// Registered says what came in.
	Registered Register
	// Departed says that it left a place.
	Departed struct {
		From string `json:"from"`
	}
	// Arrived says that it came to a place.
	Arrived struct {
		At string `json:"at"`
	}
	// HandedOver says who has it.
	HandedOver HandOver

	// State is a parcel in the third build.
	State struct {
		Sender string  `json:"sender"`
		Kilos  float64 `json:"kilos"`
		At     string  `json:"at"`
		Legs   int     `json:"legs"`
		HandTo string  `json:"hand_to"`
	}
)

func (c Register) decideV3(s State) ([]Event, error) {
	if s.Sender != "" {
		return nil, ErrKnown
	}
	return []Event{Registered(c)}, nil
}

func (c Move) decideV3(s State) ([]Event, error) {
	if err := s.movable(); err != nil {
		return nil, err
	}
	if s.At == c.To {
		return nil, ErrThere
	}
	return []Event{Departed{From: s.At}, Arrived{At: c.To}}, nil
}

func (c HandOver) decideV3(s State) ([]Event, error) {
	if err := s.movable(); err != nil {
		return nil, err
	}
	return []Event{HandedOver(c)}, nil
}

func (s State) movable() error {
	switch {
	case s.Sender == "":
		return ErrUnknown
	case s.HandTo != "":
		return ErrDelivered
	}
	return nil
}

func (e Registered) evolveV3(s State) State {
	s.Sender, s.Kilos, s.At = e.Sender, e.Kilos, e.At
	return s
}

func (e Departed) evolveV3(s State) State {
	s.At = ""
	return s
}

func (e Arrived) evolveV3(s State) State {
	s.At, s.Legs = e.At, s.Legs+1
	return s
}

func (e HandedOver) evolveV3(s State) State {
	s.HandTo = e.To
	return s
}

// The steps of the third build.
func register(c RegisterV2) Register {
	return Register{Sender: c.Sender, Kilos: float64(c.Grams) / 1000, At: c.At}
}

func registered(e RegisteredV2) Registered { return Registered(register(RegisterV2(e))) }

func handOver(c DeliverV1) HandOver { return HandOver{To: c.Hand} }

func handedOver(e HandedOverV1) HandedOver { return HandedOver(handOver(DeliverV1(e))) }

func moved(e MovedV1) []Event { return []Event{Departed{From: e.From}, Arrived{At: e.To}} }

func scanned(ScannedV1) []Event { return nil }

// Parcels is the aggregate of the third build.
var Parcels = actor.Aggregate[State, Command, Event]{
	Type:        "parcel",
	StateSchema: 2,
	Decide:      func(s State, c Command) ([]Event, error) { return c.decideV3(s) },
	Evolve:      func(s State, e Event) State { return e.evolveV3(s) },
	Commands: store.NewTypes(
		map[string]Command{"register": Register{}, "move": Move{}, "hand-over": HandOver{}},
		store.Upcast("register", 1, registerV2), store.Upcast("register", 2, register),
		store.Rename("deliver", 1, "hand-over"), store.Upcast("hand-over", 1, handOver)),
	Events: store.NewTypes(
		map[string]Event{"registered": Registered{}, "departed": Departed{}, "arrived": Arrived{}, "handed-over": HandedOver{}},
		store.Upcast("registered", 1, registeredV2), store.Upcast("registered", 2, registered),
		store.Split("moved", 1, moved), store.Split("scanned", 1, scanned),
		store.Upcast("delivered", 1, handedOverV1), store.Rename("delivered", 2, "handed-over"), store.Upcast("handed-over", 1, handedOver)),
}
