"""What letters and forms hold beside prose: names, dates, amounts, addresses, in English and French.

Prose has few capitals and digits, and few of the letters that names are full of; these make up for it.
"""

from collections.abc import Callable, Sequence

import numpy as np

LANGUAGES = ("en", "fr")

GIVEN = {
    "en": "Abigail Adam Albert Alice Amy Anna Arthur Barbara Ben Beth Bob Caleb Clara Daniel David Dick Dorothy Edward "
    "Eliza Ella Emma Evelyn Eva Frank Fred Gavin George Grace Harriet Harvey Helen Henry Hugh Ida Isaac Jack Jacob "
    "James Jane Jeff John Joseph Kate Kevin Kirk Kitty Laura Lewis Lucy Luke Mark Martha Mary Matthew Maud Mike Nell "
    "Nick Olive Oscar Patrick Paul Peter Quentin Rebecca Robert Ruth Sam Sarah Steve Susan Sylvia Thomas Tobias Ursula "
    "Vera Victor Violet Walter Will Winifred Xavier Yvonne Zachary Zoe",
    "fr": "Adèle Aimé Albert Alice André Anne Antoine Auguste Aurélie Baptiste Bernard Blanche Camille Catherine "
    "Cécile Célestin Chloé Claude Denis Désiré Edmond Élise Émile Étienne Eugène Fabien Félix Fernand François "
    "Françoise Gaston Gabriel Geneviève Georges Gérard Guy Hélène Henri Honoré Hubert Irène Jacques Jean Jeanne Joël "
    "Joseph Jules Julie Karine Kévin Léa Léon Louis Louise Luc Lucien Madeleine Marcel Margaux Marie Marthe Maurice "
    "Mélanie Michel Moïse Noël Océane Odette Olivier Paul Pierre Philippe Quentin Raphaël Raymond Rémi René Robert "
    "Roger Rose Sabine Simone Solène Suzanne Sylvie Théo Thérèse Valérie Victor Violette William Xavier Yves Yvonne "
    "Zélie Zoé",
}
FAMILY = {
    "en": "Abbott Adams Baker Becker Blackwood Brown Burke Buckley Carver Clark Cooper Cox Davies Dawkins Dixon "
    "Edwards Ellis Evans Fitzgerald Fawkes Fox Frost Gibbs Gladstone Grant Griffith Hawkins Hicks Hoffman Hughes "
    "Ingram Jackson Jenkins Johnson Jones Kelly Kennedy King Kirkwood Knox Lewis Livingstone Mackenzie Marlowe "
    "McBride Moore Murphy Newby Norwood O'Brien O'Keefe Osborne Parker Perkins Pickwick Quick Quincy Reeves Roberts "
    "Rockwell Shaw Smith Sykes Taylor Thwaite Turner Underwood Upjohn Vaughan Vickers Walker Webb Whitfield Wilkins "
    "Wolfe Wright Xu Yates Young Zimmerman",
    "fr": "Aubert Barbier Beauvais Bédard Benoît Bertrand Bizet Blanchard Bouchard Bourgeois Brunet Caron Chevalier "
    "Cloutier Côté Dubois Dubuc Dufour Dupont Dupuis Étienne Fabre Faure Favre Fleury Fontaine Fournier Gagné Gagnon "
    "Garnier Gauthier Gervais Girard Guérin Haché Hébert Hubert Huet Jacquet Joly Kauffmann Keller Klein Lachance "
    "Laforêt Lavoie Lebrun Lefebvre Lefèvre Legrand Lévesque Mercier Meyer Michaud Moreau Navarre Noël Olivier "
    "Ouellet Pelletier Picard Poirier Quesnel Quévert Rivière Rousseau Roy Savard Schmitt Simon Tessier Thibault "
    "Tremblay Vallée Verne Vidal Villeneuve Vivien Wagner Walter Weber Wolff Yver Zeller Zola",
}
TITLES = {
    "en": "Mr. Mrs. Miss Dr. Rev. Prof. Capt. Col. Gen. Hon. Judge Sir Lady Messrs.",
    "fr": "M. Mme Mlle MM. Dr Me Mgr Cap. Col. Lt Vve Sr Monsieur Madame Mademoiselle",
}
MONTHS = {
    "en": "January February March April May June July August September October November December "
    "Jan. Feb. Mar. Apr. Aug. Sept. Oct. Nov. Dec.",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre janv. fév. sept. oct. "
    "nov. déc. 7bre 8bre 9bre Xbre",
}
DAYS = {
    "en": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday Mon. Tues. Wed. Thurs. Fri. Sat.",
    "fr": "lundi mardi mercredi jeudi vendredi samedi dimanche Lundi Mardi Mercredi Jeudi Vendredi",
}
TOWNS = {
    "en": "Albany Baltimore Bath Berkeley Boston Brighton Brookfield Buffalo Cambridge Chicago Denver Dover Dublin "
    "Edinburgh Exeter Fairfax Frankfort Geneva Glasgow Halifax Hartford Huntsville Ipswich Jersey Keswick Kingston "
    "Knoxville Leeds Liverpool London Louisville Milwaukee Nashville Newark Norfolk Oakland Oxford Philadelphia "
    "Portsmouth Quebec Richmond Rochester Salem Springfield Stockton Utica Vicksburg Warwick Washington Wexford "
    "Worcester York Zanesville",
    "fr": "Amiens Angers Arras Avignon Bayeux Beauvais Besançon Béziers Bordeaux Brest Bruxelles Caen Calais Cherbourg "
    "Dakar Dijon Évreux Fécamp Gap Genève Grenoble Hyères Issoudun Joigny Kiev Lausanne Laval Lille Lyon Mâcon "
    "Metz Montréal Nancy Nîmes Orléans Paris Périgueux Poitiers Québec Quimper Reims Rouen Saint-Étienne Strasbourg "
    "Toul Trois-Rivières Troyes Uzès Verdun Versailles Vichy Wissembourg Yvetot",
}
STREETS = {
    "en": "Abbey Bank Broad Castle Church Elm Fifth Franklin Grove High Hawk King Lake Main Market Oak Park Queen "
    "River School State Union Vine Walnut Water West Wharf Willow",
    "fr": "Blanche Bleue Carnot Foch Gambetta Haute Hoche Hugo Jaurès Kléber Lafayette Monge Neuve Pasteur Racine "
    "Thiers Vauban Verte Voltaire Wilson",
}
WAYS = {
    "en": "Street St. Avenue Ave. Road Lane Square Place",
    "fr": "rue rue avenue boulevard place quai bd impasse",
}


def phrase(rng: np.random.Generator, language: str) -> list[str]:
    """Words that belong together: a person, a date, an amount, an address, a time, a reference.

    Parameters
    ----------
    language : {"en", "fr"}
    """
    if language not in LANGUAGES:
        raise ValueError(f"language must be one of {', '.join(LANGUAGES)}, got {language!r}")
    kind = KINDS[int(rng.choice(len(KINDS), p=CHANCES))]
    return kind(rng, language).split()


def person(rng: np.random.Generator, language: str) -> str:
    """A name, with a title or initials perhaps."""
    given, family = _one(rng, GIVEN[language]), _one(rng, FAMILY[language])
    initial = chr(65 + int(rng.integers(26))) + "."
    title = _one(rng, TITLES[language])
    return _any(
        rng,
        (
            f"{given} {family}",
            f"{title} {family}",
            f"{given} {initial} {family}",
            f"{initial} {family}",
            f"{title} {given} {family},",
            f"{family}, {given}",
            f"{given} & {_one(rng, GIVEN[language])} {family}",
            f"{family.upper()} {given}",
        ),
    )


def date(rng: np.random.Generator, language: str) -> str:
    """A day, written in one of the ways of letters and forms."""
    day, month, year = int(rng.integers(1, 32)), _one(rng, MONTHS[language]), int(rng.integers(1700, 2030))
    number = f"{day}/{rng.integers(1, 13)}/{year % 100:02d}"
    weekday = _one(rng, DAYS[language])
    if language == "fr":
        first = "1er" if day == 1 else str(day)
        forms = (f"le {first} {month} {year}", f"{weekday} {first} {month}", f"{first} {month} {year}.", number)
    else:
        ending = {1: "st", 2: "nd", 3: "rd"}.get(day % 10 if day not in (11, 12, 13) else 0, "th")
        forms = (f"{month} {day}, {year}", f"{weekday}, {month} {day}{ending}", f"{day} {month} {year}", number)
    return _any(rng, forms)


def amount(rng: np.random.Generator, language: str) -> str:
    """Money, measures, quantities."""
    whole, cents = int(10 ** rng.uniform(0, 4.5)), int(rng.integers(100))
    if language == "fr":
        forms = (f"{whole} fr. {cents:02d}", f"{whole},{cents:02d} F", f"{whole} francs", f"{whole} kg", f"n° {whole}")
    else:
        forms = (
            f"{whole:,}.{cents:02d}",
            f"{whole} dollars and {cents} cents",
            f"{whole} lbs.",
            f"No. {whole}",
            f"{whole:,} ft.",
        )
    return _any(rng, forms)


def address(rng: np.random.Generator, language: str) -> str:
    """A house, a town, both."""
    house, town, street = int(rng.integers(1, 400)), _one(rng, TOWNS[language]), _one(rng, STREETS[language])
    way = _one(rng, WAYS[language])
    if language == "fr":
        code = f"{rng.integers(1000, 96000):05d}"
        forms = (f"{house}, {way} {street}, {town}", f"{house} {way} {street}", f"{code} {town}", f"à {town}, ")
    else:
        code = f"{rng.integers(10000, 99999)}"
        forms = (f"{house} {street} {way}, {town}", f"{house} {street} {way}", f"{town}, {code}", f"{town}, ")
    return _any(rng, forms)


def time(rng: np.random.Generator, language: str) -> str:
    """An hour."""
    hour, minute = int(rng.integers(24)), int(rng.integers(60))
    if language == "fr":
        return f"{hour} h {minute:02d}" if rng.random() < 0.5 else f"à {hour} heures"
    return f"{hour % 12 + 1}:{minute:02d} {'a.m.' if hour < 12 else 'p.m.'}"


def reference(rng: np.random.Generator, language: str) -> str:
    """Letters and digits of some file, form or telephone."""
    del language
    letters = "".join(chr(65 + int(k)) for k in rng.integers(26, size=rng.integers(1, 4)))
    digits = str(rng.integers(1, 10 ** int(rng.integers(2, 7))))
    pair = "-".join(f"{k:02d}" for k in rng.integers(100, size=int(rng.integers(2, 5))))
    return _any(rng, (f"{letters}-{digits}", f"{letters} {digits}", pair, f"({digits})", f"{letters}.{letters}."))


Kind = Callable[[np.random.Generator, str], str]
KINDS: tuple[Kind, ...] = (person, date, amount, address, time, reference)
CHANCES = (0.35, 0.2, 0.14, 0.18, 0.05, 0.08)


def _one(rng: np.random.Generator, words: str) -> str:
    return _any(rng, words.split())


def _any(rng: np.random.Generator, forms: Sequence[str]) -> str:
    return forms[int(rng.integers(len(forms)))]
