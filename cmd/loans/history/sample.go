package history

import (
	"iter"
	"math/rand/v2"
	"strconv"
	"time"
)

// Sample yields invented histories of n applications. The same seed gives the
// same histories, and those of a smaller n are the first of a larger. They
// follow the domain's rules, look like the bank's own in shape and proportion,
// and name nobody: employees and applications are made up.
func Sample(n int, seed uint64) iter.Seq[*Trace] {
	return func(yield func(*Trace) bool) {
		for i := range n {
			if !yield(sampleTrace(i, seed)) {
				return
			}
		}
	}
}

// The invented bank.
const (
	firstNumber   = 500_001 // beyond the numbers of the bank's own file
	clerks        = 40
	firstClerk    = 20_101
	machine       = "20100" // does what needs nobody
	betweenTraces = 17 * time.Minute
)

var opening = time.Date(2024, time.October, 1, 8, 0, 0, 0, time.UTC)

// The bank's work items, under its own names.
const (
	leads      = "W_Afhandelen leads"
	completing = "W_Completeren aanvraag"
	calling    = "W_Nabellen offertes"
	validating = "W_Valideren aanvraag"
	incomplete = "W_Nabellen incomplete dossiers"
	fraud      = "W_Beoordelen fraude"
	changing   = "W_Wijzigen contractgegevens"
)

// story invents one application's history as it goes.
type story struct {
	random *rand.Rand
	now    time.Time
	clerk  string
	trace  *Trace
}

func sampleTrace(i int, seed uint64) *Trace {
	s := &story{
		random: rand.New(rand.NewPCG(seed, uint64(i))),
		now:    opening.Add(time.Duration(i) * betweenTraces),
		clerk:  machine,
	}
	s.now = s.now.Add(s.between(0, betweenTraces))
	s.trace = &Trace{Application: strconv.Itoa(firstNumber + i), Amount: s.amount()}
	s.do("A_SUBMITTED")
	s.do("A_PARTLYSUBMITTED")
	s.firstLook()
	return s.trace
}

// amount: most people ask for round sums, a few for odd ones.
func (s *story) amount() int64 {
	switch {
	case s.chance(0.1):
		return 100 + s.random.Int64N(60_000)
	case s.chance(0.5):
		return 1_000 * (1 + s.random.Int64N(15))
	}
	return 2_500 * (1 + s.random.Int64N(20))
}

// do adds an entry for what is done at once.
func (s *story) do(activity string) {
	s.now = s.now.Add(s.between(0, 5*time.Second))
	s.enter(activity, "COMPLETE", s.clerk)
}

func (s *story) schedule(item string) {
	s.now = s.now.Add(s.between(0, 2*time.Second))
	s.enter(item, "SCHEDULE", s.clerk)
}

// start: somebody finds the time.
func (s *story) start(item string) {
	s.now = s.now.Add(s.between(time.Minute, 40*time.Hour))
	s.clerk = strconv.Itoa(firstClerk + s.random.IntN(clerks))
	s.enter(item, "START", s.known())
}

func (s *story) complete(item string) {
	s.now = s.now.Add(s.between(20*time.Second, 20*time.Minute))
	s.enter(item, "COMPLETE", s.known())
}

// sessions works on an item, up to a number of times, mostly few.
func (s *story) sessions(item string, most int) {
	for range s.random.IntN(most + 1) {
		s.start(item)
		s.complete(item)
	}
}

// known is the clerk, whom the books leave out at times.
func (s *story) known() string {
	if s.chance(0.1) {
		return ""
	}
	return s.clerk
}

func (s *story) enter(activity, step, employee string) {
	s.trace.Events = append(s.trace.Events, Event{Activity: activity, Step: step, Employee: employee, Time: s.now})
}

func (s *story) chance(p float64) bool { return s.random.Float64() < p }

// between returns a duration in [from, to), in whole milliseconds as the file
// has them.
func (s *story) between(from, to time.Duration) time.Duration {
	return from + time.Duration(s.random.Int64N(int64((to-from)/time.Millisecond)))*time.Millisecond
}
