package job

// TopOwners is how many owners a preview names.
const TopOwners = 20

// Count is how many jobs fall under one heading.
type Count struct {
	Name string
	Jobs int64
	// Spent is what they have spent so far.
	Spent MicroUSD
	// PerMinute is what the running ones of them have spent in a minute, each on
	// the mean since it was accepted.
	PerMinute MicroUSD
}

// Preview says what an order of a scope would reach if it were issued now.
type Preview struct {
	Scope Scope
	// Jobs lie in the scope and under no order yet.
	Jobs  int64
	Spent MicroUSD
	// PerMinute is what the running ones spend; see [Count].
	PerMinute MicroUSD
	// Owners is how many there are; ByOwner names those with the most jobs.
	Owners  int
	ByOwner []Count
	ByKind  []Count
	ByState []Count
	// CoveredBefore lie in the scope and are under an order already.
	CoveredBefore int64
	// Partial: so many jobs live that not all were looked at; the counts are
	// lower bounds.
	Partial bool
}

// Scan is how far a selector order's walk over the live jobs has come.
type Scan struct {
	// Looked is how many live jobs it has looked at.
	Looked int64
	// Open are the partitions in which it goes on.
	Open []int
}
