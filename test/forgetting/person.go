//go:build linux

package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/test/canary/people"
)

// person is a data subject. Each text about one is nowhere else.
type person struct {
	nth    int
	id     string
	doomed bool
	// hurt: a view fails at the person's name.
	hurt      bool
	household string

	mu    sync.Mutex
	given int
	// told are the texts since the person was forgotten last; dead those before, which nobody
	// may see any more.
	told, dead []string
	// erased is how often the person was forgotten, key what names the key before the last time.
	erased int
	key    string
}

// households is how many there are, so that each has many persons in it.
const households = 4

func newPerson(nth int, seed uint64, doomed bool) *person {
	r := rand.New(rand.NewPCG(seed, uint64(nth)))
	return &person{
		nth: nth, id: fmt.Sprintf("p%03d-%06x", nth, r.Uint32()&0xffffff), doomed: doomed,
		household: fmt.Sprintf("h%d", nth%households),
	}
}

func (p *person) stream() store.StreamID {
	return store.StreamID{Type: people.Persons.Type, ID: p.id}
}

func (p *person) home() store.StreamID {
	return store.StreamID{Type: people.Households.Type, ID: p.household}
}

// text returns a new one, for a field.
func (p *person) text(field string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.given++
	text := fmt.Sprintf("mark-%s-%04d-%s", p.id, p.given, field)
	p.told = append(p.told, text)
	return text
}

// texts returns those that can be read, and those that cannot.
func (p *person) texts() (told, dead []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.told), slices.Clone(p.dead)
}

// nobody reports whether nothing was told of the person since it was forgotten.
func (p *person) nobody() bool {
	told, _ := p.texts()
	return len(told) == 0
}

// die has all texts be dead from now on.
func (p *person) die(erased int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dead, p.told = append(p.dead, p.told...), nil
	p.erased = erased
}

// details are all fields that a person can have.
func (p *person) details() people.Details {
	return people.Details{
		Name:    p.text("name"),
		Address: people.Address{Street: p.text("street"), Town: "Delft"},
		Phones:  []people.Phone{{Kind: "home", Number: p.text("phone")}},
		Rooms:   map[string]people.Phone{"hall": {Kind: "wall", Number: p.text("room")}},
		Labels:  map[string]string{"a": p.text("label")},
		Aliases: []string{p.text("alias")},
	}
}
