package node

import (
	"time"
)

// Timing is how long a peer waits for what. [Config.Timing] chooses it.
type Timing struct {
	Ping        time.Duration // between two pings of a neighbour
	Misses      int           // unanswered pings until a neighbour is suspect
	Young       time.Duration // for which a peer calls itself young after its start; 0 is not at all
	Grace       time.Duration // from suspect to departed: its copies no longer count
	BackupWait  time.Duration // times its rank, before a holder does what the closest one should have
	Reconcile   time.Duration // between two comparisons with a neighbour, ± 50 %
	FullPass    time.Duration // between two looks at the holders of every block, whoever came or went
	AfterChange time.Duration // from a change among the neighbours to a comparison
	Coverage    time.Duration // for which knowledge of who is close to a key holds
	OwnZone     time.Duration // the same, of keys close to this peer
	PutIdle     time.Duration // after which a put without a new acknowledgement gives up
	Brake       time.Duration // for which repair waits when it is likely this peer that is cut off
	Surplus     time.Duration // for which copies are kept that others hold now
	Tidy        time.Duration // between two looks at how much was merely read
	LeaseCheck  time.Duration // between two looks for a newer lease
	Records     time.Duration // between two looks of a record's keepers at each other
	Dial        time.Duration // to connect to a private address
	DialPublic  time.Duration // to connect to a public address
}

// Timing is the timing of c's profile.
func (c Config) Timing() Timing {
	if c.Network.Profile == ProfileTestnet {
		return Timing{
			Ping: time.Second, Misses: 3, Grace: 10 * time.Second, BackupWait: 2 * time.Second,
			Reconcile: 10 * time.Second, FullPass: time.Minute, AfterChange: time.Second,
			Coverage: 10 * time.Second, OwnZone: 2 * time.Second, PutIdle: 10 * time.Second,
			Brake: 10 * time.Second, Surplus: 10 * time.Minute, Tidy: 30 * time.Second, LeaseCheck: time.Minute, Records: 10 * time.Second,
			Dial: time.Second, DialPublic: time.Second,
		}
	}
	return Timing{
		Ping: 30 * time.Second, Misses: 3, Young: 10 * time.Minute, Grace: 30 * time.Minute, BackupWait: time.Minute,
		Reconcile: 10 * time.Minute, FullPass: 6 * time.Hour, AfterChange: time.Minute,
		Coverage: 10 * time.Minute, OwnZone: time.Minute, PutIdle: time.Minute,
		Brake: 30 * time.Minute, Surplus: 30 * 24 * time.Hour, Tidy: 10 * time.Minute, LeaseCheck: 7 * 24 * time.Hour, Records: time.Hour,
		Dial: time.Second, DialPublic: 10 * time.Second,
	}
}
