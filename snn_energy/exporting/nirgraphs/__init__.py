"""Networks written as NIR graphs: which node each module becomes, how the edges are found, how the file is checked."""
