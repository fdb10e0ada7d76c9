"""The kinds of findings about images, products, labels and captions."""

from simtrain.catalog.inspection.kind import Kind

IMAGE_KINDS: dict[str, Kind] = {
    "groups_across_splits": Kind(
        severity="error",
        shown="singly",
        title="Splits that cut a product in two",
        why="Images of one product, of one picture or, in an open set, of one class stood in several splits of the "
        "source. An encoder that is tested on what it was trained on looks better than it is.",
        remedy="Mended here: each such group went whole to test, else to val. Figures measured on the source's own "
        "split are too good and cannot be compared with those of this catalogue.",
    ),
    "set_aside": Kind(
        severity="error",
        shown="together",
        title="Copies of test or validation images in a less strict split",
        why="The same picture stood in a split that is trained on and in one that is tested on, so that part of the "
        "answers would have been learnt by heart.",
        remedy="Mended here: the copy in the less strict split is set aside and takes no part. Take it out of the "
        "source, or give both images the same product.",
    ),
    "unreadable": Kind(
        severity="error",
        shown="text",
        title="Files that cannot be read",
        why="They are left out. Where many are missing, the catalogue is not the shop.",
        remedy="Export or download these files again, or mend their paths in the table.",
    ),
    "duplicates_differ": Kind(
        severity="error",
        shown="together",
        title="Equal pictures with different products or labels",
        why="Exactly the same picture is said to be two things. Training is pulled both ways, and an evaluation counts "
        "a perfect answer as wrong.",
        remedy="Decide which value is right and correct the source. Where a picture stands for many products, such as "
        "a size chart or a placeholder, remove it.",
    ),
    "near_duplicates": Kind(
        severity="warning",
        shown="together",
        title="Pictures that are nearly the same",
        why="The same picture in another size, compression or crop. With different products or labels it is an error "
        "of the source; in two splits it makes figures look better than they are.",
        remedy="Look at the pairs below: give copies the same product, or remove one. Pairs that the source gives to "
        "different products (volumes of a series, a pattern in two colours) stay in the catalogue; with "
        "--set near_duplicates.across_products=set_aside they count as copies, and the one in the less strict split is "
        "left out.",
    ),
    "images_without_product": Kind(
        severity="warning",
        shown="singly",
        title="Images without a product",
        why="They take no part in training by products, and an image of the same thing may stand in another split.",
        remedy="Fill the column, widen product_pattern, or leave them out of the source.",
    ),
    "images_without_label": Kind(
        severity="warning",
        shown="singly",
        title="Images without a label",
        why="They take no part in training by labels, and are found by no search for their kind.",
        remedy="Fill the column, move stray pictures into the folder of their class, or leave them out of the source.",
    ),
    "images_without_split": Kind(
        severity="note",
        shown="text",
        title="Images without a split",
        why="Where the source names splits, images without one are trained on, unless their product is in another one.",
        remedy="Fill the column, if that is not meant.",
    ),
    "products_of_one_image": Kind(
        severity="warning",
        shown="text",
        title="Products of one image each",
        why="A query is answered by another image of its own product, and there is none.",
        remedy="Evaluate and train by label (--set relevance=label), add images, or group variants into one product.",
    ),
    "families_tie_most": Kind(
        severity="warning",
        shown="text",
        title="Families that tie nearly everything together, or nothing",
        why="Equal values of columns.group keep images on one side of the split, also indirectly. A group of more than "
        "half of the images leaves one split almost everything; columns without values keep nothing together.",
        remedy="Leave cells empty that mean no family, or name the words with --set 'nothing=[…]'; else name a finer "
        "column, or fewer, with --set columns.group=NAME.",
    ),
    "labels_only_outside_train": Kind(
        severity="warning",
        shown="singly",
        title="Labels that training never sees",
        why="They occur in val or test only, so figures mix classes that were learnt with classes that were not.",
        remedy="Give these labels images for training, or ask for unseen classes throughout with "
        "--set split.protocol=open_set.",
    ),
    "label_with_one_image": Kind(
        severity="warning",
        shown="singly",
        title="Labels with a single image",
        why="Nothing shows what else belongs to such a label: no pair can be trained on, and no query of it can find "
        "anything.",
        remedy="Add images, or merge the label into another; a misspelt name is a frequent cause.",
    ),
    "label_imbalance": Kind(
        severity="warning",
        shown="text",
        title="Labels of very different sizes",
        why="Figures that are averaged over images tell mostly about the largest labels, and training sees the small "
        "ones rarely.",
        remedy="Add images of the small labels, merge them, or split the large ones. Batches of P labels by K images "
        "even it out in training, not in the figures.",
    ),
    "blank_images": Kind(
        severity="warning",
        shown="singly",
        title="Pictures that show next to nothing",
        why="One flat colour, or nearly so: failed downloads and placeholders look like this. All of them look alike, "
        "whatever product they claim to be.",
        remedy="Remove them from the source or replace them.",
    ),
    "captions_are_templates": Kind(
        severity="warning",
        shown="singly",
        title="Captions that are templates or categories",
        why="More than half of the captions are shared by different products. Image-text training takes the other "
        "images of its batch for wrong answers, and here many of them would be right.",
        remedy="Map a column that describes each product with --set columns.caption=NAME, or use such a column as the "
        "label instead.",
    ),
    "captions_over_77_tokens": Kind(
        severity="warning",
        shown="singly",
        title="Captions longer than CLIP reads",
        why="CLIP reads 77 tokens and drops the rest. The lengths are estimates: its vocabulary is not looked up.",
        remedy="Put what can be seen in the picture first, or map a shorter column with --set columns.caption=NAME.",
    ),
    "captions_empty": Kind(
        severity="warning",
        shown="singly",
        title="Images without a caption",
        why="Image-text training has nothing to match these pictures with.",
        remedy="Fill in the captions; for image-only training nothing needs to be done.",
    ),
    "tiny_images": Kind(
        severity="warning",
        shown="singly",
        title="Tiny pictures",
        why="They are enlarged to the encoder's size and are blurred beside the others; an encoder may come to tell "
        "blurred from sharp instead of one product from another.",
        remedy="Export them larger. The limit is --set inspection.smallest_side=PIXELS.",
    ),
    "extreme_aspect_images": Kind(
        severity="note",
        shown="singly",
        title="Very long pictures",
        why="Squeezed or cropped into a square, they lose most of what they show; banners and strips of several "
        "pictures look like this.",
        remedy="Crop them to the product. The limit is --set inspection.largest_aspect=RATIO.",
    ),
    "families": Kind(
        severity="note",
        shown="text",
        title="Families that were kept on one side of the split",
        why="Products of one family look so alike that training on one tells too much of the other.",
        remedy="Nothing has to be done.",
    ),
    "captions_repeated": Kind(
        severity="note",
        shown="together",
        title="Captions that different products share",
        why="In image-text training each of these pictures is a right answer to the other's caption, and is taken for "
        "a wrong one.",
        remedy="Describe what tells the products apart, such as colour or material.",
    ),
    "exact_duplicates": Kind(
        severity="note",
        shown="together",
        title="Exactly the same picture more than once",
        why="Copies weigh double in training, and a query that has a copy of itself in the gallery cannot miss it.",
        remedy="Nothing has to be done: copies are kept on one side of the split. Remove them from the source for the "
        "cleanest figures.",
    ),
    "notes_of_reading": Kind(
        severity="note",
        shown="singly",
        title="Remarks from reading",
        why="These files could be read, but something in them was passed over.",
        remedy="Check that the pictures below look right.",
    ),
}
"""By the `kind` of a finding, most harmful first."""
