package people

import (
	"errors"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
)

// Command is what the streams can be asked.
//
//sumtype:decl
type Command interface{ isCommand() }

// Event is what can have happened.
//
//sumtype:decl
type Event interface{ isEvent() }

// Address has a part that is personal and one that is not.
type Address struct {
	Street string `json:"street" personal:"@id"`
	Town   string `json:"town"`
}

// Phone is one of a list.
type Phone struct {
	Kind   string `json:"kind"`
	Number string `json:"number" personal:"@id"`
}

// Details are data of all kinds about the person whose stream it is.
type Details struct {
	Name    string            `json:"name" personal:"@id"`
	Address Address           `json:"address"`
	Phones  []Phone           `json:"phones"`
	Rooms   map[string]Phone  `json:"rooms"`
	Labels  map[string]string `json:"labels" personal:"@id"`
	Aliases []string          `json:"aliases" personal:"@id"`
	Photo   []byte            `json:"photo" personal:"@id"`
	Number  int64             `json:"number" personal:"@id"`
}

type (
	// Register says all about a person.
	Register struct {
		Details
	}
	// Rename gives a new name; Trouble has a view fail at it.
	Rename struct {
		Name    string `json:"name" personal:"@id"`
		Trouble bool   `json:"trouble,omitempty"`
	}
	// Confirm writes down what is known.
	Confirm struct{}
	// Touch says nothing.
	Touch struct{}
	// Refuse is always refused.
	Refuse struct {
		Name string `json:"name" personal:"@id"`
	}
	// Registered is what Register leads to.
	Registered struct {
		Details
		Gone store.Shredded `json:"-"`
	}
	// Renamed is what Rename leads to.
	Renamed struct {
		Name    string `json:"name" personal:"@id"`
		Trouble bool   `json:"trouble,omitempty"`
	}
	// Confirmed holds what the state knew.
	Confirmed struct {
		Name  string   `json:"name" personal:"@id"`
		Names []string `json:"names" personal:"@id"`
	}
	// Touched is what Touch leads to.
	Touched struct{}
)

func (Register) isCommand() {}
func (Rename) isCommand()   {}
func (Confirm) isCommand()  {}
func (Touch) isCommand()    {}
func (Refuse) isCommand()   {}

func (Registered) isEvent() {}
func (Renamed) isEvent()    {}
func (Confirmed) isEvent()  {}
func (Touched) isEvent()    {}

// Person is the state of a person.
type Person struct {
	Details Details  `json:"details"`
	Names   []string `json:"names"`
	Touches int      `json:"touches"`
}

// ErrRefused is the answer to Refuse.
var ErrRefused = errors.New("that is refused")

// Decide implements the aggregate.
func (p Person) Decide(c Command) ([]Event, error) {
	switch c := c.(type) {
	case Register:
		return []Event{Registered{Details: c.Details}}, nil
	case Rename:
		return []Event{Renamed(c)}, nil
	case Confirm:
		return []Event{Confirmed{Name: p.Details.Name, Names: p.Names}}, nil
	case Touch:
		return []Event{Touched{}}, nil
	case Refuse:
		return nil, ErrRefused
	case Note:
	}
	panic("a command of another aggregate")
}

// maxNames bounds what a state remembers.
const maxNames = 4

// Evolve implements the aggregate.
func (p Person) Evolve(e Event) Person {
	switch e := e.(type) {
	case Registered:
		p.Details = e.Details
	case Renamed:
		if p.Details.Name = e.Name; e.Name != "" && len(p.Names) < maxNames {
			p.Names = append(p.Names[:len(p.Names):len(p.Names)], e.Name)
		}
	case Touched:
		p.Touches++
	case Confirmed, Noted:
	}
	return p
}

// Persons is the aggregate.
var Persons = actor.Aggregate[Person, Command, Event]{
	Type: "person", Decide: Person.Decide, Evolve: Person.Evolve,
	Commands: store.NewTypes(map[string]Command{"register": Register{}, "rename": Rename{}, "confirm": Confirm{}, "touch": Touch{}, "refuse": Refuse{}}),
	Events:   store.NewTypes(map[string]Event{"registered": Registered{}, "renamed": Renamed{}, "confirmed": Confirmed{}, "touched": Touched{}}),
}
