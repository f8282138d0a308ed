package cluster

import "errors"

// Errors that callers tell apart.
var (
	// ErrNameTaken says that another node runs under the name.
	ErrNameTaken = errors.New("the node name is taken")
	// ErrUnlike says that a node that runs has other terms: see [UnlikeError].
	ErrUnlike = errors.New("the nodes were not started alike")
	// ErrAlone says that a node that joins no cluster serves the namespace: see [AloneError].
	ErrAlone = errors.New("a node serves it alone")
	// ErrNoCluster says that the namespace has no directory: no node ever joined.
	ErrNoCluster = errors.New("no cluster")
	// ErrNoNode says that no node of that name is there.
	ErrNoNode = errors.New("no such node")
	// ErrNotHeld says that this node does not hold the slot, or not under that
	// epoch any more.
	ErrNotHeld = errors.New("the lease is not held")
	// ErrUnavailable says that the directory could not be asked or changed.
	ErrUnavailable = errors.New("the cluster's directory is unavailable")
	// ErrInvalid says that a setting or a name is not usable.
	ErrInvalid = errors.New("invalid")
)

// What writing to the directory may answer.
var (
	// errMoved: the key is not at the expected revision; nothing was written.
	errMoved = errors.New("the key has another revision")
	// errNobody: no process listens under that session.
	errNobody = errors.New("nobody answers")
)
