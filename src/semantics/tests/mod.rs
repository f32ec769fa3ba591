mod agreement;
mod arbitrary;
mod diagrams;
mod facts;
mod languages;
