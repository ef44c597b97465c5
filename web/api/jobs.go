package api

import (
	"cmp"
	"crypto/rand"
	"io"
	"iter"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/cairn-network/cairn/blocks"
)

// The states of a [Job].
const (
	JobReceiving = "receiving" // its body is still coming: it ends if the client leaves
	JobSpreading = "spreading" // its body has ended: it goes on whoever listens
	JobQueued    = "queued"    // its journal is open, and it waits for the next try
	JobDone      = "done"
	JobFailed    = "failed"
)

// A job that has ended is told of for a while, to those who missed its end.
const (
	jobLife  = 10 * time.Minute
	mostJobs = 200 // that have ended; the oldest goes first
)

// Job is a put that goes on at this peer, or has ended there lately. One that is known
// by its journal alone, because this peer has started since or its answer has been given
// with fewer copies than the network can hold, has its root for an ID.
type Job struct {
	ID       string          `json:"id"`
	Name     string          `json:"name,omitempty"`
	Root     string          `json:"root,omitempty"` // once it is known
	State    string          `json:"state"`
	Began    time.Time       `json:"began"`
	Ended    time.Time       `json:"ended,omitzero"`
	Bytes    int64           `json:"bytes"` // of the body, so far
	Files    int             `json:"files"` // of a tree, so far
	Progress blocks.Progress `json:"progress"`
	Failed   []JobFailure    `json:"failed,omitempty"`  // what the holders that failed it said last
	Receipt  *Receipt        `json:"receipt,omitempty"` // of one that is done
	Error    *ErrorLine      `json:"error,omitempty"`   // of one that failed, or has fewer copies than were waited for
}

// JobFailure is a holder that failed a put.
type JobFailure struct {
	Peer    string `json:"peer,omitempty"` // empty: this peer itself
	Message string `json:"message"`
}

// jobs is every put that goes on, and those that ended lately. The zero value is ready.
type jobs struct {
	mu   sync.Mutex
	seq  int // of the last change
	jobs map[string]*job
}

// job is a [Job] that changes; the lock of its jobs guards it.
type job struct {
	Job
	all *jobs
	seq int // of its last change
}

// jobID is what a client may call a job, so that it can ask for one whose answer it lost.
var jobID = regexp.MustCompile(`^[A-Za-z0-9_-]{8,64}$`)

// begin enters a job. id may be empty: then it gets one.
func (l *jobs) begin(id, name string) (*job, error) {
	id = cmp.Or(id, rand.Text()[:12])
	if !jobID.MatchString(id) {
		return nil, usage(`parameter "job": want 8 to 64 letters, digits, - and _`, "")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forgetLocked()
	if l.jobs[id] != nil {
		return nil, &refusal{http.StatusConflict, CodeUsage, "there is a job " + id + " already", "choose another name for the job, at random"}
	}
	j := &job{Job: Job{ID: id, Name: name, State: JobReceiving, Began: time.Now().UTC()}, all: l}
	if l.jobs == nil {
		l.jobs = map[string]*job{}
	}
	l.jobs[id] = j
	j.changedLocked()
	return j, nil
}

// forgetLocked drops what ended long ago, and the oldest of too many.
func (l *jobs) forgetLocked() {
	var ended []*job
	for id, j := range l.jobs {
		switch {
		case j.Ended.IsZero():
		case time.Since(j.Ended) > jobLife:
			delete(l.jobs, id)
		default:
			ended = append(ended, j)
		}
	}
	if over := len(ended) - mostJobs; over > 0 {
		slices.SortFunc(ended, func(a, b *job) int { return a.Ended.Compare(b.Ended) })
		for _, j := range ended[:over] {
			delete(l.jobs, j.ID)
		}
	}
}

// since gives the jobs that changed after the change seq, those that began last first,
// and the last change there was.
func (l *jobs) since(seq int) ([]Job, int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forgetLocked()
	out := []Job{}
	for j := range maps.Values(l.jobs) {
		if j.seq > seq {
			now := j.Job
			now.Progress.Copies = list(now.Progress.Copies)
			out = append(out, now)
		}
	}
	slices.SortFunc(out, lastFirst)
	return out, l.seq
}

func (j *job) changedLocked() {
	j.all.seq++
	j.seq = j.all.seq
}

// change is for one goroutine at a time or many.
func (j *job) change(f func()) {
	j.all.mu.Lock()
	defer j.all.mu.Unlock()
	f()
	j.changedLocked()
}

// counts counts what is read of body.
func (j *job) counts(body io.Reader) io.Reader { return &counting{body, j} }

type counting struct {
	io.Reader
	j *job
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if n == 0 && err == nil {
		return n, err
	}
	c.j.change(func() {
		c.j.Bytes += int64(n)
		if err == io.EOF { //nolint:errorlint // io.Reader says EOF itself
			c.j.State = JobSpreading
		}
	})
	return n, err
}

// countItems counts the files among items.
func (j *job) countItems(items iter.Seq2[blocks.Item, error]) iter.Seq2[blocks.Item, error] {
	return func(yield func(blocks.Item, error) bool) {
		for it, err := range items {
			if err == nil && it.Kind == blocks.KindFile {
				j.change(func() { j.Files++ })
			}
			if !yield(it, err) {
				return
			}
		}
	}
}

// tell takes progress.
func (j *job) tell(p blocks.Progress) {
	p.Copies = slices.Clone(p.Copies) // the teller goes on counting
	j.change(func() {
		if j.Progress = p; p.Root.Defined() {
			j.Root = p.Root.String()
		}
	})
}

// end enters how j ended, once; of a second end nothing is kept.
func (j *job) end(receipt *Receipt, failed *ErrorLine) {
	j.change(func() {
		if !j.Ended.IsZero() {
			return
		}
		j.State, j.Ended, j.Receipt, j.Error = JobDone, time.Now().UTC(), receipt, failed
		if receipt == nil {
			j.State = JobFailed
		} else {
			j.Progress, j.Root = receipt.Progress, receipt.CID
		}
	})
}

// jobsRoute answers with what is put now, and what was put lately.
func (s *server) jobsRoute(w http.ResponseWriter, r *http.Request) {
	if p := query(r); p.err != nil {
		s.fail(w, r, p.err)
		return
	}
	open, err := s.n.Jobs(r.Context())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	all, _ := s.jobs.since(0)
	s.reply(w, http.StatusOK, journalled(all, open))
}

// journalled adds what the journals say: to the jobs that go on who failed them, and a
// job for each journal that none of those is about. open is oldest first.
func journalled(all []Job, open []blocks.Job) []Job {
	for _, o := range open {
		root, failed := o.Root.String(), []JobFailure(nil)
		for _, f := range o.Failed {
			failed = append(failed, JobFailure{Peer: f.Peer.String(), Message: f.Err.Error()})
		}
		i := slices.IndexFunc(all, func(j Job) bool { return j.Ended.IsZero() && j.Root == root })
		if i >= 0 {
			all[i].Failed = failed
			continue
		}
		state := JobQueued
		if o.Active {
			state = JobSpreading
		}
		o.Progress.Copies = list(o.Progress.Copies)
		all = append(all, Job{ID: root, Root: root, Name: o.Name, State: state, Began: o.Began.UTC(), Bytes: o.Size, Progress: o.Progress, Failed: failed})
	}
	slices.SortFunc(all, lastFirst)
	return all
}

// lastFirst orders jobs by when they began, the last first.
func lastFirst(a, b Job) int { return cmp.Or(b.Began.Compare(a.Began), cmp.Compare(a.ID, b.ID)) }
