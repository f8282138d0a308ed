package evolution

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/annals-go/annals/store"
)

// places are where parcels go.
var places = []string{"Oslo", "Bonn", "Turin", "Lyon", "Graz"}

// act is one thing that is asked of a parcel.
type act struct {
	parcel   string
	do       string // register, move, deliver or scan
	to       string
	grams    int
	rejected error // why it has to be
}

// parcel is what has to be true of a parcel in the third build, worked out from what
// was asked and from nothing that was stored.
type parcel struct {
	state State
	steps []Step // without ids
	track Track
	// at are the positions of the steps, once they were read.
	at []store.Position
}

// story makes up what is asked, and knows what has to come of it.
type story struct {
	random   *rand.Rand
	names    []string
	parcels  map[string]*parcel
	places   map[string]Place
	arrivals map[string]Place
	version  map[string]uint64
}

func newStory(seed uint64) *story {
	return &story{
		random: rand.New(rand.NewPCG(seed, seed)), parcels: map[string]*parcel{}, places: map[string]Place{},
		arrivals: map[string]Place{}, version: map[string]uint64{},
	}
}

// next makes up something that build can be asked, and notes what comes of it.
func (s *story) next(build int) act {
	if len(s.names) < 4 || s.random.IntN(8) == 0 {
		a := act{parcel: fmt.Sprintf("p-%d", len(s.names)), do: "register", to: places[s.random.IntN(len(places))], grams: 1 + s.random.IntN(5000)}
		s.names = append(s.names, a.parcel)
		s.parcels[a.parcel] = &parcel{}
		s.note(a, build)
		return a
	}
	a := act{parcel: s.names[s.random.IntN(len(s.names))], do: "move", to: places[s.random.IntN(len(places))]}
	switch n := s.random.IntN(12); {
	case n == 0:
		a.do, a.to = "deliver", "Bob"
	case n < 4 && build < 3:
		a.do, a.to = "scan", "Eve"
	case n == 4:
		a.do, a.rejected = "register", ErrKnown
		return a
	}
	switch p := s.parcels[a.parcel]; {
	case a.do != "scan" && p.state.HandTo != "":
		a.rejected = ErrDelivered
	case a.do == "move" && p.state.At == a.to:
		a.rejected = ErrThere
	default:
		s.note(a, build)
	}
	return a
}

// note works out what the third build has to make of what a build stores.
func (s *story) note(a act, build int) {
	p := s.parcels[a.parcel]
	s.version[a.parcel]++
	switch a.do {
	case "register":
		p.state = State{Sender: "Ann Lee", Kilos: float64(a.grams) / 1000, At: a.to}
		p.track.Sender = "Ann Lee"
		s.places[a.to] = s.places[a.to].in(a.grams)
		s.step(a.parcel, 0, "registered")
	case "move":
		s.places[p.state.At] = s.places[p.state.At].out()
		s.places[a.to] = s.places[a.to].in(0)
		s.arrivals[a.to] = s.arrivals[a.to].in(0)
		p.state.At, p.state.Legs = a.to, p.state.Legs+1
		s.step(a.parcel, 0, "departed")
		if part := 1; build < 3 {
			s.step(a.parcel, part, "arrived")
			return
		}
		s.version[a.parcel]++
		s.step(a.parcel, 0, "arrived")
	case "deliver":
		p.state.HandTo = a.to
		p.track.Steps = append(p.track.Steps, a.to)
		s.step(a.parcel, 0, "handed-over")
	}
}

func (s *story) step(name string, part int, event string) {
	p := s.parcels[name]
	p.steps = append(p.steps, Step{Version: s.version[name], Part: part, Name: event})
	p.track.Steps = append(p.track.Steps, event)
}

// check compares the answer to an act with what it had to be.
func (a act) check(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, a.rejected) || a.rejected == nil && err != nil {
		t.Fatalf("%+v: %v", a, err)
	}
}

// The same act, in the words of each build.
func (a act) v1() CommandV1 {
	switch a.do {
	case "register":
		return RegisterV1{First: "Ann", Last: "Lee", Grams: a.grams, At: a.to}
	case "move":
		return MoveV1{To: a.to}
	case "deliver":
		return DeliverV1{Hand: a.to}
	}
	return ScanV1{By: a.to}
}

func (a act) v2() CommandV2 {
	switch a.do {
	case "register":
		return RegisterV2{Sender: "Ann Lee", Grams: a.grams, At: a.to}
	case "move":
		return MoveV1{To: a.to}
	case "deliver":
		return DeliverV1{Hand: a.to}
	}
	return ScanV1{By: a.to}
}

func (a act) v3() Command {
	switch a.do {
	case "register":
		return Register{Sender: "Ann Lee", Kilos: float64(a.grams) / 1000, At: a.to}
	case "move":
		return Move{To: a.to}
	}
	return HandOver{To: a.to}
}
