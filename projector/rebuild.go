package projector

import "time"

// Rebuild says how a view is to be built again from the first event.
type Rebuild struct {
	// Online builds beside the model that is served, which goes on to be. Otherwise
	// the new model takes its place at once, and reads wait until it has caught up.
	Online bool `json:"online"`
	// Version is the definition's to build; 0: that of the live model.
	Version int `json:"version"`
	// Parity is how many documents are compared with the live model's before the
	// switch: -1 all, 0 none.
	Parity int `json:"parity"`
	// Switch makes the new model the live one as soon as it has caught up and no
	// document differs. Otherwise it waits for [Group.Promote].
	Switch bool `json:"switch"`
}

// The roles of a read model.
const (
	// RoleLive: it is the one that is served.
	RoleLive = "live"
	// RoleCandidate: it is built beside the live one.
	RoleCandidate = "candidate"
	// RolePrevious: it was live, and is kept up to date for a roll-back.
	RolePrevious = "previous"
)

// Parity is the outcome of comparing two read models.
type Parity struct {
	// Compared is how many documents were compared, at equal positions.
	Compared uint64 `json:"compared"`
	// Differences is how many of them differ, are missing or are too many.
	Differences uint64 `json:"differences"`
	// Examples are some of those.
	Examples []Difference `json:"examples,omitempty"`
	Time     time.Time    `json:"time"`
}

// Difference is one document that two read models have differently; a side
// without it is empty.
type Difference struct {
	Key       string `json:"key"`
	Live      string `json:"live"`
	Candidate string `json:"candidate"`
}

// Verification is the outcome of comparing a read model with the log.
type Verification struct {
	Model
	// Workers are the outcomes for each worker.
	Workers []WorkerVerification `json:"workers"`
	// Documents is the outcome of folding the log again and comparing; absent if
	// that was not asked for.
	Documents *Parity `json:"documents,omitempty"`
}

// WorkerVerification compares a worker's checkpoint with the log.
type WorkerVerification struct {
	Worker string `json:"worker"`
	// Stored is what the checkpoint says, Log what the log says up to the same
	// position.
	Stored Proof `json:"stored"`
	Log    Proof `json:"log"`
	// Equal says that they are.
	Equal bool `json:"equal"`
	// Detail names the first difference in words; empty if there is none.
	Detail string `json:"detail,omitempty"`
}
