package cluster

import (
	"context"
	"slices"
	"strconv"
	"time"
)

// Role is a kind of work that a node takes on.
type Role string

// The roles.
const (
	RoleActors     Role = "actors"     // holds partitions and executes their commands
	RoleProjectors Role = "projectors" // runs duties, such as views
	RoleGateway    Role = "gateway"    // takes requests in from any client
)

// AllRoles returns the roles that a node has unless it is told otherwise.
func AllRoles() []Role { return []Role{RoleActors, RoleProjectors, RoleGateway} }

// Node is what a node says of itself.
type Node struct {
	// Name tells the nodes of a namespace apart: a lower or upper case letter,
	// then letters, digits, hyphens and underscores, at most 64 bytes. Two nodes
	// of one name cannot run at the same time.
	Name string `json:"name"`
	// Version is the application's, for operators.
	Version string `json:"version,omitempty"`
	// Zone says where the node runs, for operators.
	Zone string `json:"zone,omitempty"`
	// Weight is the node's share relative to that of others. Default 1.
	Weight int `json:"weight"`
	// Capacity is the most partitions that the node takes; 0: no limit. Where all
	// capacities together are too small, none counts: somebody must serve.
	Capacity int `json:"capacity,omitempty"`
	// Roles are what the node does. Default all.
	Roles []Role `json:"roles"`
	// Terms are how the node was started, in words, as far as nodes must agree on it:
	// while one runs, a node of other terms does not join. Default none, which agrees
	// with all.
	Terms string `json:"terms,omitempty"`
}

func (n *Node) has(r Role) bool { return slices.Contains(n.Roles, r) }

// Slot is what one node holds at a time: a partition, or a duty.
type Slot struct {
	// Duty names a duty, such as a view. Empty: the slot is a partition.
	Duty string
	// Partition is the number of a partition, from 0.
	Partition int
}

// String names the slot as an operator knows it.
func (s Slot) String() string {
	if s.Duty != "" {
		return "duty " + s.Duty
	}
	return "partition " + strconv.Itoa(s.Partition)
}

// Handler does the work that ownership is about. Calls for one slot come one
// after the other, for different slots at the same time.
type Handler interface {
	// Take begins to serve a slot, under a lease with that epoch. After an error
	// it is tried again; the slot is not served meanwhile.
	Take(slot Slot, epoch uint64) error
	// Release takes nothing new in, finishes what is under way, and writes down
	// what the next owner would have to work out again; until ctx ends. The lease
	// is still valid meanwhile.
	Release(ctx context.Context, slot Slot)
	// Passed follows Release: the slot now belongs to that node, or to nobody if
	// to is empty.
	Passed(slot Slot, to string)
	// Drop forgets a slot at once: the lease was lost, and another may serve.
	Drop(slot Slot)
}

// nodeRecord is what the directory holds of a node: its session. To renew it
// is to renew the lease on everything that the session holds.
type nodeRecord struct {
	Node
	// Session tells two lives of one name apart.
	Session string `json:"session"`
	// Since is when the session began.
	Since time.Time `json:"since"`
	// Duties are those that the node knows: it is given no others.
	Duties []string `json:"duties,omitempty"`
	// Leaving says that the node hands everything over.
	Leaving bool `json:"leaving,omitempty"`
}

// holdingRecord is what the directory holds of a slot. Its revision is the
// epoch of the holding. Without a node the slot is free.
type holdingRecord struct {
	Node    string    `json:"node"`
	Session string    `json:"session"`
	Since   time.Time `json:"since"`
}
